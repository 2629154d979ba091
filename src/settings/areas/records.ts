import { flag, identifier, integer, memoryAmount, text } from '../setting.js';

/** The settings of what is recorded, and of what happens while the database does not take it. */
export const RECORDS_SETTINGS = {
  'receipts.keep': integer({
    default: 10_000,
    min: 10,
    max: 10_000_000,
    about:
      'Receipts that are kept, and as many sessions, events and minutes of readings; the oldest are dropped.',
  }),
  'proofs.keep': integer({
    default: 20,
    min: 1,
    max: 1000,
    about:
      'Proofs asked for over HTTP whose reports are kept in the data folder; the oldest are dropped.',
  }),
  'database.url': text({
    default: '',
    defaultText: 'SQLite in the data folder',
    secret: true,
    about: 'PostgreSQL that keeps the records: `postgres://user:password@host:port/name`.',
  }),
  'database.schema': identifier({
    default: 'plimsoll',
    about:
      'PostgreSQL schema of the tables; it is created if it is missing. Tables of version 0.1 are moved into it.',
  }),
  'records.keep_text': flag({
    default: false,
    about: 'Whether the record of a classification has the text itself; otherwise its hash alone.',
  }),
  'records.keep': integer({
    default: 1_000_000,
    min: 10,
    max: 1_000_000_000,
    unit: 'rows',
    about: 'Records of classifications, and users of sessions, that are kept; the oldest go.',
  }),
  'records.max_age': integer({
    default: 30 * 86_400,
    min: 60,
    max: 3650 * 86_400,
    unit: 's',
    about: 'Age at which anything in the database is dropped.',
  }),
  'records.flush_ms': integer({
    default: 100,
    min: 5,
    max: 10_000,
    unit: 'ms',
    about: 'Longest that a record waits in memory before it is written: what `kill -9` costs.',
  }),
  'records.max_buffer': memoryAmount({
    default: '8M',
    minBytes: 65_536,
    about:
      'Records that wait in memory, in bytes or percent of the load line; more are lost, counted and told.',
  }),
  'records.max_spill': memoryAmount({
    default: '1G',
    minBytes: 0,
    about: 'Size of the file of records that wait for the database, in bytes or percent likewise.',
  }),
  'database.retry_ms': integer({
    default: 1000,
    min: 50,
    max: 600_000,
    unit: 'ms',
    about: 'A database that takes no records is tried again after this.',
  }),
} as const;
