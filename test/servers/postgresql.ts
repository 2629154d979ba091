import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import pg from 'pg';
import { freePort } from './free-port.js';

const run = promisify(execFile);
export const PASSWORD = 'sesame-for-tests';

/** The user that a server runs as: PostgreSQL and pgbouncer refuse to run as root. */
export function owner(): { uid?: number; gid?: number } {
  if (process.getuid?.() !== 0) return {};
  const line = /^nobody:[^:]*:(\d+):(\d+):/m.exec(readFileSync('/etc/passwd', 'utf8'));
  return { uid: Number(line?.[1]), gid: Number(line?.[2]) };
}

/** A real PostgreSQL on a free port, in a temporary folder. */
export class PostgresqlServer {
  readonly #program: string;
  readonly #folder: string;
  readonly #port: number;
  #process: ChildProcess | undefined;

  private constructor(program: string, folder: string, port: number) {
    this.#program = program;
    this.#folder = folder;
    this.#port = port;
  }

  /** @param program path of PostgreSQL's program */
  static async start(program: string | undefined): Promise<PostgresqlServer> {
    if (program === undefined) throw new Error('PostgreSQL is not installed');
    const folder = mkdtempSync(path.join(tmpdir(), 'plimsoll-pg-'));
    const { uid, gid } = owner();
    if (uid !== undefined && gid !== undefined) chownSync(folder, uid, gid);
    const initdb = path.join(path.dirname(program), 'initdb');
    const data = path.join(folder, 'data');
    const script = `umask 077; printf %s ${PASSWORD} > pw; exec "$0" -D "$1" -U plimsoll -A scram-sha-256 --pwfile=pw --no-sync`;
    await run('/bin/sh', ['-c', script, initdb, data], { cwd: folder, ...owner() });
    const server = new PostgresqlServer(program, folder, await freePort());
    await server.restart();
    return server;
  }

  get port(): number {
    return this.#port;
  }

  url(password = PASSWORD, database = 'postgres'): string {
    return `postgres://plimsoll:${password}@127.0.0.1:${this.#port}/${database}`;
  }

  /** Makes an empty database. @returns its address */
  async create(database: string): Promise<string> {
    await this.run('postgres', `create database ${database}`);
    return this.url(PASSWORD, database);
  }

  /** Runs statements as the owner of everything. @returns the rows of the last one */
  async run(database: string, ...statements: readonly string[]): Promise<readonly unknown[]> {
    const client = new pg.Client({ connectionString: this.url(PASSWORD, database) });
    await client.connect();
    try {
      let rows: readonly unknown[] = [];
      for (const statement of statements) ({ rows } = await client.query(statement));
      return rows;
    } finally {
      await client.end();
    }
  }

  /** Starts it again after {@link kill}. */
  async restart(): Promise<void> {
    const data = path.join(this.#folder, 'data');
    const options = ['-D', data, '-p', String(this.#port), '-c', 'listen_addresses=127.0.0.1'];
    options.push('-c', `unix_socket_directories=${this.#folder}`, '-c', 'fsync=off');
    const child = spawn(this.#program, options, { cwd: this.#folder, ...owner() });
    this.#process = child;
    let said = '';
    await new Promise<void>((resolve, reject) => {
      child.stderr?.on('data', (chunk: Buffer) => {
        said += String(chunk);
        if (said.includes('ready to accept connections')) resolve();
      });
      child.once('error', reject);
      child.once('exit', () => reject(new Error(`PostgreSQL ended: ${said}`)));
    });
  }

  /** Ends it at once, with every connection: its immediate shutdown. */
  async kill(): Promise<void> {
    const child = this.#process;
    this.#process = undefined;
    if (child === undefined || child.exitCode !== null) return;
    const ended = once(child, 'exit');
    child.kill('SIGQUIT');
    await ended;
  }

  async stop(): Promise<void> {
    await this.kill();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
