/** Sockets that whoever started this program has opened for it: systemd's socket activation (sd_listen_fds(3)). */
import { cFunction } from './libc.js';

/** The first one, by the protocol; the others follow it. */
const FIRST_DESCRIPTOR = 3;
/** A count beyond this is no count: a unit has a few. */
const MOST_SOCKETS = 64;
const VARIABLES = ['LISTEN_PID', 'LISTEN_FDS', 'LISTEN_FDNAMES'] as const;

export interface InheritedSocket {
  readonly descriptor: number;
  /** The address that it is bound to; `localhost` for a Unix socket, which this machine alone can reach. */
  readonly address: string;
}

/**
 * The descriptors of the sockets that are meant for this process. Pure.
 *
 * 1. `LISTEN_PID` names another process, which passed its environment on: none.
 * 2. `LISTEN_FDS` says how many there are.
 *
 * @throws Error if it is no such number
 */
export function inheritedDescriptors(
  environment: Readonly<Record<string, string | undefined>> = process.env,
  pid: number = process.pid,
): readonly number[] {
  const { LISTEN_PID: meant, LISTEN_FDS: written = '' } = environment;
  if (meant !== String(pid)) return []; // 1
  const count = Number(written);
  if (!/^\d+$/.test(written) || count > MOST_SOCKETS) {
    throw new Error(`LISTEN_FDS is ${JSON.stringify(written)}, not a number up to ${MOST_SOCKETS}`);
  }
  return Array.from({ length: count }, (_, index) => FIRST_DESCRIPTOR + index); // 2
}

/**
 * Takes the sockets over. A second call finds none, and child processes see nothing of them.
 *
 * @throws Error if the variables are wrong
 */
export function takeInheritedSockets(): readonly InheritedSocket[] {
  const descriptors = inheritedDescriptors();
  for (const variable of VARIABLES) delete process.env[variable];
  return descriptors.map((descriptor) => ({ descriptor, address: boundAddressOf(descriptor) }));
}

/** Room for the address of any family: `sizeof(struct sockaddr_storage)`. */
const ADDRESS_BYTES = 128;
/** Where nothing can be found out, others may reach it. */
const ANYWHERE = '0.0.0.0';

function boundAddressOf(descriptor: number): string {
  const getsockname = cFunction(
    'int getsockname(int descriptor, _Out_ uint8_t *address, _Inout_ uint32_t *length)',
  );
  const bytes = new Uint8Array(ADDRESS_BYTES);
  const length = new Uint32Array([ADDRESS_BYTES]);
  if (getsockname?.(descriptor, bytes, length) !== 0) return ANYWHERE;
  return socketAddress(bytes);
}

/** The address in a `struct sockaddr` of Linux (ip(7), ipv6(7), unix(7)), by its family. Pure. */
export function socketAddress(bytes: Uint8Array): string {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  switch (view.getUint16(0, true)) {
    case 1:
      return 'localhost';
    case 2:
      return bytes.subarray(4, 8).join('.');
    case 10: {
      const groups = Array.from({ length: 8 }, (_, at) => view.getUint16(8 + 2 * at).toString(16));
      // In its usual short form.
      return new URL(`http://[${groups.join(':')}]`).hostname.slice(1, -1);
    }
    default:
      return ANYWHERE;
  }
}
