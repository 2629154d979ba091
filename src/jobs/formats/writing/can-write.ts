import zlib from 'node:zlib';
import type { Compression } from '../../../contract/jobs.js';
import { InputError } from '../../files/input-error.js';

/** @throws InputError if this Node.js cannot pack so: to be asked before a job begins */
export function assertCanWrite(compression: Compression): void {
  // Node.js has it from 22.15 on.
  if (compression !== 'zstd' || 'createZstdCompress' in zlib) return;
  throw new InputError(
    `parts packed with zstd need Node.js 22.15 or newer, and this server runs on ${process.versions.node}: ask for gzip, or update it`,
  );
}
