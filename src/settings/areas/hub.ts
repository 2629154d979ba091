import { flag, integer, text } from '../setting.js';

/** The settings of models that come from a hub. */
export const HUB_SETTINGS = {
  'hub.models': text({
    default: '',
    about:
      'Models of a hub to serve, divided by commas: `org/name` or `org/name@revision` (`--model`, which may be repeated). What the cache lacks is fetched at the start.',
  }),
  'hub.pull': flag({
    default: false,
    about:
      'Whether `POST /v1/models/pull` and the page may fetch models. Whoever reaches the server can then fill its disk.',
  }),
  'hub.max_pulls': integer({
    default: 2,
    min: 1,
    max: 8,
    about: 'Models that are fetched over HTTP at the same time; each takes a process.',
  }),
  'hub.max_waiting': integer({
    default: 16,
    min: 0,
    max: 1000,
    about: 'Further models that wait to be fetched; more are refused with 503.',
  }),
} as const;
