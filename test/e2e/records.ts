import pg from 'pg';
import type { Records } from '../../src/contract/records.js';
import { get } from './harness.js';

/** @param query such as `user=ann` */
export function recordsOf(server: { readonly url: string }, query: string): Promise<Records> {
  return get(server, `/v1/records?limit=999&${query}`);
}

/** The value of a metric without labels. */
export async function metric(server: { readonly url: string }, name: string): Promise<number> {
  const text = await get<string>(server, '/metrics');
  const [, value] = new RegExp(`^${name} (\\S+)$`, 'm').exec(text) ?? [];
  if (value === undefined) throw new Error(`there is no metric ${name}`);
  return Number(value);
}

/** Texts of every record in the database, sorted; two of one id cannot be. */
export async function keptTexts(url: string): Promise<readonly string[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    const { rows } = await client.query<{ input: string }>('select input from plimsoll.records');
    return rows.map(({ input }) => input).sort();
  } finally {
    await client.end();
  }
}
