import { choice, integer, proxies, text } from '../setting.js';

/** What `http.open` must say. */
export const OPEN_WORDS = 'anyone-may-use-and-manage-this-server';

/** By which the server hands a proof of itself the key. */
export const PROVE_KEY_VARIABLE = 'PLIMSOLL_PROVE_KEY';

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
  'http.open': choice({
    default: 'no',
    words: ['no', OPEN_WORDS],
    about:
      'Whether requests need no key although others can reach the server, or keys were made. Without it a server that listens beyond loopback does not start before it has a key.',
  }),
  'keys.file': text({
    default: '',
    about:
      'File of keys beside those of the database, such as a mounted secret: one a line, `name scopes secret`. It is read again when it changes.',
  }),
  'prove.key': text({
    default: '',
    secret: true,
    about: 'Key of scope manage that `plimsoll prove --url` asks the server with.',
  }),
  'http.trust_proxy': proxies({
    default: 'off',
    about:
      'Proxies whose `X-Forwarded-For`, `-Proto` and `-Host` count: how many there are in front of the server, or their addresses.',
  }),
  'http.cors': text({
    default: '',
    about:
      'Origins, divided by commas, whose pages may ask this server: `https://app.example.org,http://localhost:5173`.',
  }),
  'http.socket': text({
    default: '',
    about: 'Path of a Unix socket to listen on, in place of `http.host` and `http.port`.',
  }),
  'http.tls.cert': text({
    default: '',
    about:
      'File of the certificate, with its chain, in PEM: the server then speaks HTTPS. It is read again when it changes.',
  }),
  'http.tls.key': text({
    default: '',
    about: 'File of the private key of `http.tls.cert`, in PEM. It is read again when it changes.',
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
    about:
      'Open client connections. A further one takes the place of the one that has been idle longest; while all are being answered it gets health and metrics alone.',
  }),
  'page.max_viewers': integer({
    default: 32,
    min: 1,
    max: 1000,
    about:
      'Open pages that are fed with events; a further one takes the place of one that does not read, or of the one that has been open longest, 10 s at least; else it is refused with 503.',
  }),
} as const;
