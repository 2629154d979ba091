import path from 'node:path';
import fc from 'fast-check';
import Sqlite from 'libsql';
import pg from 'pg';
import { describe, expect, onTestFinished, test } from 'vitest';
import { RowBuffer } from '../../../src/store/row-buffer.js';
import {
  type ColumnKind,
  type Row,
  rowOf,
  TABLES,
  type TableName,
  type Value,
} from '../../../src/store/rows.js';
import { SpillFile } from '../../../src/store/spill-file.js';
import { Store } from '../../../src/store/store.js';
import { PostgresqlServer } from '../../servers/postgresql.js';
import { postgresql } from '../../servers/tools.js';
import { LIMITS, temporaryFolder } from './databases.js';

type Fields = Readonly<Record<string, Value>>;

/** Numbers as they are measured: fractions, huge, negative zero, and none at all. */
const number = fc.oneof(
  fc.integer({ min: -(2 ** 31) + 1, max: 2 ** 31 - 1 }),
  fc.maxSafeInteger(),
  fc.double({ noNaN: true, noDefaultInfinity: true, min: -1e15, max: 1e15 }),
  fc.constantFrom(-0, 0.5, 249064676.4835768, 2 ** 40 + 0.25),
);
const real = fc.oneof(
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.constantFrom(-0, 0.1 + 0.2, 5e-324, Number.MAX_VALUE),
);
const text = fc.oneof(
  fc.string(),
  fc.string({ unit: 'binary' }),
  fc.constantFrom('', '\0', 'a\'b"c\\d', '\uD800 lone', 'a\0b', '$1 ?1 :x', '{"json": null}'),
);

const arbitraryOf: Readonly<Record<ColumnKind, fc.Arbitrary<Value>>> = {
  text,
  real,
  int32: number,
  int64: number,
};

/** Columns that may be null, from migrations.ts. */
const NULLABLE = ['ended_at_ms', 'session', 'server', 'model', 'worker', 'tier', 'input'];

function fieldsOf(table: TableName): fc.Arbitrary<Fields> {
  const columns = Object.entries(TABLES[table].kinds).map(([column, kind]) => {
    const mayBeNull = NULLABLE.includes(column) && !isRequired(table, column);
    return [column, mayBeNull ? fc.option(arbitraryOf[kind]) : arbitraryOf[kind]] as const;
  });
  return fc.record(Object.fromEntries(columns));
}

function isRequired(table: TableName, column: string): boolean {
  if (table === 'records') return column === 'session' || column === 'model';
  return (
    (table === 'session_users' && column === 'session') ||
    (table !== 'sessions' && column === 'server')
  );
}

const tables = Object.keys(TABLES) as TableName[];
const rows = fc.array(
  fc.constantFrom(...tables).chain((table) => fieldsOf(table).map((fields) => ({ table, fields }))),
  { minLength: 1, maxLength: 40 },
);

/** What is expected in a column: the value as it was given, in the nearest form that the column can hold. */
function expected(kind: ColumnKind, value: Value): Value {
  if (value === null) return null;
  // UTF-8 has no lone surrogates, PostgreSQL no NUL.
  if (kind === 'text') return Buffer.from(String(value)).toString().replaceAll('\0', '\uFFFD');
  if (kind === 'real') return Number(value) + 0;
  const most = kind === 'int32' ? 2 ** 31 - 1 : Number.MAX_SAFE_INTEGER;
  return Math.max(-most, Math.min(most, Math.round(Number(value)))) + 0;
}

function sorted(found: readonly Fields[]): readonly Fields[] {
  return [...found].sort((a, b) => (String(a.id) < String(b.id) ? -1 : 1));
}

describe.skipIf(postgresql === undefined)('every kind of row', () => {
  test('is in SQLite and in a real PostgreSQL as it was written', async () => {
    const server = await PostgresqlServer.start(postgresql);
    onTestFinished(() => server.stop());
    const folder = temporaryFolder();
    const stores = [await Store.open(folder), await Store.connect(server.url(), LIMITS)];
    onTestFinished(async () => {
      for (const store of stores) await store.close();
    });
    const file = new Sqlite(path.join(folder, 'plimsoll.db'));
    onTestFinished(() => void file.close());
    pg.types.setTypeParser(20, Number);
    const client = new pg.Client({ connectionString: server.url() });
    await client.connect();
    onTestFinished(() => client.end());
    let runs = 0;

    await fc.assert(
      fc.asyncProperty(rows, fc.boolean(), async (all, overFile) => {
        runs += 1;
        const named = all.map(({ table, fields }, index): { table: TableName; fields: Fields } => {
          return { table, fields: { ...fields, id: `${runs}.${String(index).padStart(3, '0')}` } };
        });
        const made = named.map(({ table, fields }) => rowOf(table, fields));
        const written = overFile ? await throughFile(folder, made) : made;
        for (const store of stores) expect(await store.write(written)).toEqual([]);
        for (const table of tables) {
          const own = named.filter((row) => row.table === table);
          const wanted = own.map(({ fields }) => {
            const kinds = Object.entries(TABLES[table].kinds);
            return Object.fromEntries(
              kinds.map(([column, kind]) => [column, expected(kind, fields[column] ?? null)]),
            );
          });
          const where = `where id like '${runs}.%'`;
          const inFile = file.prepare(`select * from ${table} ${where}`).all() as Fields[];
          const { rows: inServer } = await client.query<Fields>(
            `select * from plimsoll.${table} ${where}`,
          );
          expect(sorted(inFile), `SQLite, ${table}`).toEqual(wanted);
          expect(sorted(inServer), `PostgreSQL, ${table}`).toEqual(wanted);
        }
      }),
      { numRuns: 60 },
    );
  }, 120_000);
});

/** The way of rows that waited for the database. */
async function throughFile(folder: string, given: readonly Row[]): Promise<readonly Row[]> {
  const spill = SpillFile.open(path.join(folder, 'spill'), 2 ** 30);
  try {
    spill.append(given);
    const batch = await spill.read(given.length);
    expect(batch.damaged).toBe(0);
    spill.acknowledge(batch);
    return batch.rows;
  } finally {
    await spill.close();
  }
}

test('a classified input whose label and text hold a NUL becomes a row that every database takes', () => {
  const buffer = new RowBuffer();
  buffer.pushClassified({
    ...{ run: 'run', request: 1, index: 0, atMs: 1.5, session: 's', userHash: 'u', model: 'm' },
    ...{ inputHash: 'h', label: 'a\0b', score: 0.5, ms: 1.23456, tier: null, input: 'c\0d' },
  });
  expect(JSON.stringify(buffer.first(1))).not.toContain('\\u0000');
});

test('a line of the spill file from an older version is brought into form', async () => {
  const folder = temporaryFolder();
  const fields = { id: 'a.1', server: 'a', at_ms: 1, count: 60, pss_max_bytes: 249064676.4835768 };
  const { values } = rowOf('readings', fields);
  const raw = values.map((value) => (value === 249064676 ? 249064676.4835768 : value));
  const [back] = await throughFile(folder, [{ table: 'readings', values: raw }]);
  expect(back?.values).toEqual(values);
});
