import '@fontsource/barlow/latin-400.css';
import '@fontsource/barlow/latin-500.css';
import '@fontsource/barlow/latin-600.css';
import '@fontsource/barlow/latin-ext-400.css';
import '@fontsource/barlow/latin-ext-600.css';
import '@fontsource/barlow-condensed/latin-500.css';
import '@fontsource/barlow-condensed/latin-600.css';
import 'uplot/dist/uPlot.min.css';
import './style/base.css';
import './style/layout.css';
import './style/gauge.css';
import './style/tables.css';
import './style/events.css';
import './style/chart.css';
import './style/panels.css';
import './style/try.css';
import { render } from 'preact';
import { App } from './app.js';
import { LiveData } from './data/live-data.js';
import { LiveContext } from './data/use-live.js';
import { restoreTheme } from './theme.js';

restoreTheme();
const root = document.getElementById('page');
if (root === null) throw new Error('index.html has no #page');
const live = new LiveData();
render(
  <LiveContext.Provider value={live}>
    <App />
  </LiveContext.Provider>,
  root,
);
