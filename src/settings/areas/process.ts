import { choice, integer } from '../setting.js';

/** The settings of the process: its end and its log. */
export const PROCESS_SETTINGS = {
  'shutdown.grace_ms': integer({
    default: 10_000,
    min: 100,
    max: 600_000,
    unit: 'ms',
    about: 'Time for running requests to finish after SIGTERM.',
  }),
  'shutdown.drain_ms': integer({
    default: ({ isInKubernetes }) => (isInKubernetes === true ? 5000 : 0),
    defaultText: '5000 in Kubernetes, else 0',
    min: 0,
    max: 600_000,
    unit: 'ms',
    about:
      'Time after SIGTERM in which the server is not ready and yet takes requests: so long a balancer may still send some. The grace time begins after it.',
  }),
  'log.level': choice({
    default: 'info',
    words: ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'],
    about: 'What is logged.',
  }),
  'log.format': choice({
    default: 'auto',
    words: ['auto', 'json', 'pretty'],
    about: 'JSON lines, or lines for people; auto: for people on a terminal.',
  }),
} as const;
