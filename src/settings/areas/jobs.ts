import { choice, flag, integer, serverAddress, text } from '../setting.js';

/** The settings of bulk jobs, and of what this server does in a fleet. */
export const JOB_SETTINGS = {
  'server.role': choice({
    default: 'all',
    words: ['all', 'door', 'worker'],
    about:
      'What this server does: `door` answers callers and works on no jobs, `worker` works on jobs and answers none, `all` does both.',
  }),
  'server.name': text({
    default: '',
    defaultText: 'the name of the machine',
    about: 'Name under which receipts, jobs and `GET /v1/fleet` show this server.',
  }),
  'jobs.url': serverAddress({
    protocols: ['redis:', 'rediss:'],
    bounds: '`redis://user:password@host:port/number` or `rediss://…`',
    defaultText: 'the database',
    secret: true,
    about:
      'Redis that keeps the queue of jobs, with `maxmemory-policy noeviction`: not the one of the cache. Without it, jobs are kept in the database.',
  }),
  'jobs.prefix': text({
    default: 'plimsoll',
    about:
      'Prefix of the keys of jobs in Redis. In PostgreSQL the tables of BullMQ are in the schema of this name with `_jobs` behind it.',
  }),
  'jobs.at_once': integer({
    default: 2,
    min: 1,
    max: 64,
    about: 'Shards that this server works on at once.',
  }),
  'jobs.min_share': integer({
    default: 10,
    min: 0,
    max: 100,
    unit: '%',
    about: 'Part of the work that jobs get at least while callers wait.',
  }),
  'jobs.folders': text({
    default: '',
    about:
      'Folders of this machine, divided by commas, that jobs asked for over HTTP may read from and write to. Without one, such jobs use http(s):// and s3:// only.',
  }),
  'jobs.private_addresses': flag({
    default: false,
    about:
      'Whether jobs may read http(s):// addresses of private networks and of this machine. S3 endpoints are set by the owner and always allowed.',
  }),
  'jobs.max_open': integer({
    default: 1000,
    min: 1,
    max: 100_000,
    about:
      'Jobs that may be open at the same time; another one is refused until one has ended. Every server of the queue looks at each of them every second.',
  }),
  'jobs.attempts': integer({
    default: 3,
    min: 1,
    max: 100,
    about: 'Attempts at a shard before it is set aside as failed.',
  }),
  'jobs.backoff_ms': integer({
    default: 1000,
    min: 10,
    max: 600_000,
    unit: 'ms',
    about: 'Pause before the second attempt at a shard; doubles with each.',
  }),
  'jobs.lock_ms': integer({
    default: 30_000,
    min: 1000,
    max: 600_000,
    unit: 'ms',
    about: 'A machine that says nothing for this long loses its shards to others.',
  }),
  'jobs.keep_days': integer({
    default: 7,
    min: 1,
    max: 3650,
    unit: 'days',
    about: 'Time after which jobs that ended are forgotten; their parts stay.',
  }),
  'jobs.s3.endpoint': text({
    default: '',
    defaultText: 'Amazon’s, by the region',
    about:
      'Address of the S3 server for s3://. Keys come from AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, from the files that these names with _FILE name, or from where the AWS SDK finds them: a profile, web identity, the role of the container or the instance.',
  }),
  'jobs.s3.addressing': choice({
    default: 'auto',
    words: ['auto', 'host', 'path'],
    about:
      'Where the bucket is in an address: `host` is https://bucket.host/key, `path` is https://host/bucket/key; `auto` is `host` at Amazon, and `path` with an endpoint of one’s own.',
  }),
  'jobs.s3.region': text({
    default: 'us-east-1',
    about: 'Region that requests to S3 are signed for.',
  }),
} as const;
