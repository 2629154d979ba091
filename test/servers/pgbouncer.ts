import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { freePort } from './free-port.js';
import { owner, PASSWORD, type PostgresqlServer } from './postgresql.js';

/** A real pgbouncer in front of a PostgreSQL: each transaction may get another server connection. */
export class PgbouncerServer {
  readonly #folder: string;
  readonly #port: number;
  readonly #process: ChildProcess;

  private constructor(folder: string, port: number, child: ChildProcess) {
    this.#folder = folder;
    this.#port = port;
    this.#process = child;
  }

  /** @param program path of pgbouncer's program */
  static async start(
    program: string | undefined,
    database: PostgresqlServer,
  ): Promise<PgbouncerServer> {
    if (program === undefined) throw new Error('pgbouncer is not installed');
    const folder = mkdtempSync(path.join(tmpdir(), 'plimsoll-pgbouncer-'));
    const port = await freePort();
    const users = path.join(folder, 'users.txt');
    const settings = path.join(folder, 'pgbouncer.ini');
    writeFileSync(users, `"plimsoll" "${PASSWORD}"\n`);
    writeFileSync(
      settings,
      [
        ...['[databases]', `* = host=127.0.0.1 port=${database.port}`, '[pgbouncer]'],
        ...['listen_addr = 127.0.0.1', `listen_port = ${port}`, 'unix_socket_dir ='],
        ...['auth_type = scram-sha-256', `auth_file = ${users}`],
        // Few server connections for many clients: they change hands with every transaction.
        ...['pool_mode = transaction', 'default_pool_size = 3', 'max_client_conn = 100'],
      ].join('\n'),
    );
    const { uid, gid } = owner();
    if (uid !== undefined && gid !== undefined) {
      for (const file of [folder, users, settings]) chownSync(file, uid, gid);
    }
    const child = spawn(program, [settings], { ...owner(), stdio: ['ignore', 'ignore', 'pipe'] });
    let said = '';
    await new Promise<void>((resolve, reject) => {
      child.stderr?.on('data', (chunk: Buffer) => {
        said += String(chunk);
        if (said.includes('process up')) resolve();
      });
      child.once('error', reject);
      child.once('exit', () => reject(new Error(`pgbouncer ended: ${said}`)));
    });
    return new PgbouncerServer(folder, port, child);
  }

  url(database: string): string {
    return `postgres://plimsoll:${PASSWORD}@127.0.0.1:${this.#port}/${database}`;
  }

  async stop(): Promise<void> {
    const child = this.#process;
    if (child.exitCode === null && child.signalCode === null) {
      const ended = once(child, 'exit');
      child.kill('SIGINT');
      // A client that is left keeps it from ending by itself.
      const timer = setTimeout(() => child.kill('SIGKILL'), 2000);
      await ended;
      clearTimeout(timer);
    }
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
