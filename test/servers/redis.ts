import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { freePort } from './free-port.js';

const PASSWORD = 'sesame-for-tests';
const NOT_KEPT = ['--appendonly', 'no'];
const KEPT = ['--appendonly', 'yes', '--appendfsync', 'always'];

/** A real Redis on a free port, in a temporary folder; it keeps nothing over a restart unless it is told to. */
export class RedisServer {
  readonly #program: string;
  readonly #folder: string;
  readonly #port: number;
  readonly #more: readonly string[];
  #process: ChildProcess | undefined;

  private constructor(program: string, folder: string, port: number, more: readonly string[]) {
    this.#program = program;
    this.#folder = folder;
    this.#port = port;
    this.#more = more;
  }

  /**
   * @param program path of Redis's program
   * @param mode `cluster`: a node that owns no slot yet; `kept`: what it has is there after a restart
   */
  static async start(
    program: string | undefined,
    mode: 'alone' | 'cluster' | 'kept' = 'alone',
  ): Promise<RedisServer> {
    if (program === undefined) throw new Error('Redis is not installed');
    const folder = mkdtempSync(path.join(tmpdir(), 'plimsoll-redis-'));
    const bus = ['--cluster-enabled', 'yes', '--cluster-port', String(await freePort())];
    const cluster = mode === 'cluster' ? [...bus, '--masterauth', PASSWORD] : [];
    const more = mode === 'kept' ? KEPT : [...NOT_KEPT, ...cluster];
    const server = new RedisServer(program, folder, await freePort(), more);
    await server.restart();
    return server;
  }

  get port(): number {
    return this.#port;
  }

  /** Of the process that runs now; 0 if none does. */
  get pid(): number {
    return this.#process?.pid ?? 0;
  }

  url(password = PASSWORD): string {
    return `redis://:${password}@127.0.0.1:${this.#port}`;
  }

  /** Starts it again after {@link kill}, empty; nothing happens while it runs. */
  async restart(): Promise<void> {
    if (this.#process !== undefined) return;
    const options = ['--port', String(this.#port), '--bind', '127.0.0.1', '--dir', this.#folder];
    options.push('--save', '', '--requirepass', PASSWORD, ...this.#more);
    const child = spawn(this.#program, options, { stdio: ['ignore', 'pipe', 'inherit'] });
    this.#process = child;
    let said = '';
    await new Promise<void>((resolve, reject) => {
      child.stdout.on('data', (chunk: Buffer) => {
        said += String(chunk);
        if (said.includes('eady to accept connections')) resolve();
      });
      child.once('error', reject);
      child.once('exit', () => reject(new Error(`Redis ended: ${said}`)));
    });
  }

  /** Its process stands still: it takes connections (the kernel does) and answers nothing. */
  freeze(): void {
    this.#process?.kill('SIGSTOP');
  }

  thaw(): void {
    this.#process?.kill('SIGCONT');
  }

  /** Ends it at once, with every connection. */
  async kill(): Promise<void> {
    const child = this.#process;
    this.#process = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
  }

  async stop(): Promise<void> {
    await this.kill();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
