import { networkInterfaces } from 'node:os';

/**
 * Whether the Redis at this URL runs on this machine: a Unix socket, a loopback address, or an address of
 * one of our interfaces. Names other than `localhost` are not resolved: DNS may change, and clearing a remote
 * Redis by mistake costs more than not clearing a local one.
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
