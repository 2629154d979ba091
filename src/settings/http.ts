import { integer, text } from './setting.js';

/** The settings of the HTTP server and the page. */
export const HTTP_SETTINGS = {
  'http.host': text({
    default: '127.0.0.1',
    needed: true,
    about: 'Address to listen on. Others can reach the server only when you change this.',
  }),
  'http.port': integer({
    default: 8000,
    min: 0,
    max: 65535,
    about: 'Port to listen on; 0 takes a free one and prints it.',
  }),
  'http.names': text({
    default: '',
    defaultText: 'any; loopback ones only where it listens on loopback',
    about:
      'Names, divided by commas, that requests may give the server in `Host`, beside loopback ones.',
  }),
  'http.doors': text({
    default: 'all',
    needed: true,
    about:
      'Protocols that the server speaks, divided by commas (docs/doors.md); `/health` and `/metrics` answer always.',
  }),
  'http.body_limit': integer({
    default: 4 * 1024 * 1024,
    min: 1024,
    max: 256 * 1024 * 1024,
    unit: 'bytes',
    about: 'Largest request body.',
  }),
  'http.max_connections': integer({
    default: 1024,
    min: 1,
    max: 65535,
    about: 'Open client connections; more are closed at once.',
  }),
  'page.max_viewers': integer({
    default: 32,
    min: 1,
    max: 1000,
    about: 'Open pages that are fed with events; more are refused with 503.',
  }),
} as const;
