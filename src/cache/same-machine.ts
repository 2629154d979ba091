import { networkInterfaces } from 'node:os';

/**
 * Whether a Redis at this URL takes its memory from this machine: a Unix socket, a loopback address
 * or an address of one of our interfaces. Names are not looked up (but for `localhost`): an answer
 * of DNS may change, and to clear a distant Redis by mistake costs more than not to clear a near one.
 */
export function isOnSameMachine(url: URL, ownAddresses = addressesOfThisMachine()): boolean {
  if (url.protocol === 'unix:') return true;
  const host = url.hostname.replace(/^\[|\]$/g, '').toLowerCase();
  if (host === '' || host === 'localhost' || host === '::1') return true;
  return /^127\.\d+\.\d+\.\d+$/.test(host) || ownAddresses.includes(host);
}

function addressesOfThisMachine(): readonly string[] {
  return Object.values(networkInterfaces()).flatMap((of) =>
    (of ?? []).map(({ address }) => address),
  );
}
