import { type ChaosTarget, chaos } from '../proof/play/disturb/chaos.js';
import { TcpProxy } from '../proof/play/disturb/tcp-proxy.js';
import type { Disturber } from '../proof/play/run.js';
import { readSystem } from '../system/reading.js';
import { type CommonFlags, configFrom } from './flags.js';
import type { OwnServer } from './own-server.js';

const MB = 2 ** 20;
/** Share of the load line that is in use already: taking a little more memory brings the server near it. */
const USED_OF_LINE = 0.75;
const LEAST_ROOM_MB = 1024;
/** The load line is never above this share of the machine. */
const MOST_OF_MACHINE = 0.9;

const SERVERS = [
  { key: 'redis.url', environment: 'PLIMSOLL_REDIS_URL', name: 'Redis', port: 6379 },
  { key: 'database.url', environment: 'PLIMSOLL_DATABASE_URL', name: 'PostgreSQL', port: 5432 },
] as const;

/** Flags and settings for a server that can be disturbed, and what disturbs it. */
export interface ChaosPlan {
  readonly flags: CommonFlags;
  readonly settings: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly disturber: (server: OwnServer) => Disturber;
  readonly stop: () => Promise<void>;
}

/**
 * Puts a proxy before Redis and PostgreSQL, where the settings name them, and sets the load line just above what is in
 * use, so that taking a little memory causes pressure.
 */
export async function planChaos(flags: CommonFlags): Promise<ChaosPlan> {
  const { config } = await configFrom(flags);
  const environment: Record<string, string> = {};
  const proxies: ChaosTarget['proxies'][number][] = [];
  for (const { key, environment: variable, name, port } of SERVERS) {
    if (config[key] === '') continue;
    const url = new URL(config[key]);
    const proxy = await TcpProxy.start(url.hostname, Number(url.port) || port);
    url.hostname = '127.0.0.1';
    url.port = String(proxy.port);
    environment[variable] = url.href;
    proxies.push({ name, proxy });
  }
  const { server } = await readSystem();
  const usedMb = server.usedBytes / MB;
  const lineMb = Math.min(
    Math.max(usedMb / USED_OF_LINE, usedMb + LEAST_ROOM_MB),
    (server.totalBytes / MB) * MOST_OF_MACHINE,
  );
  const replaced = SERVERS.map(({ key }) => `${key}=`);
  const isReplaced = (setting: string) => replaced.some((start) => setting.startsWith(start));
  return {
    // Addresses go into the environment, as they may hold passwords: every user of the machine can read arguments.
    flags: { ...flags, set: flags.set.filter((setting) => !isReplaced(setting)) },
    settings: [`memory.load_line=${Math.floor(lineMb)}M`],
    environment,
    disturber: ({ url, pid }) => chaos({ url, pid, proxies }),
    stop: async () => {
      for (const { proxy } of proxies) await proxy.cut();
    },
  };
}
