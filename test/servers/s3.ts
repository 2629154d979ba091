import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { createInterface } from 'node:readline';
import { freePort } from './free-port.js';

/** moto, which answers like Amazon’s S3; it looks at no signature. */
export class MotoServer {
  readonly endpoint: string;
  readonly #process: ChildProcess;

  private constructor(process: ChildProcess, port: number) {
    this.#process = process;
    this.endpoint = `http://127.0.0.1:${port}`;
  }

  /** @param python a Python that has it; see scripts/test-python.mjs */
  static async start(python: string | undefined): Promise<MotoServer> {
    if (python === undefined) throw new Error('moto is not installed');
    const port = await freePort();
    const args = ['-m', 'moto.server', '-H', '127.0.0.1', '-p', String(port)];
    const child = spawn(python, args, { stdio: ['ignore', 'ignore', 'pipe'] });
    // It says so when it listens.
    for await (const line of createInterface({ input: child.stderr })) {
      if (line.includes('Running on')) break;
    }
    child.stderr.resume();
    const socket = connect(port, '127.0.0.1');
    await once(socket, 'connect');
    socket.destroy();
    return new MotoServer(child, port);
  }

  async stop(): Promise<void> {
    if (this.#process.exitCode !== null) return;
    this.#process.kill('SIGTERM');
    await once(this.#process, 'exit');
  }
}
