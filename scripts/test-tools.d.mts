export type TestTool = 'redis' | 'postgresql' | 'chromium' | 'pgbouncer' | 'haproxy' | 'systemd';

/** The path of a tool's program; undefined if it is not installed. */
export function findTool(name: TestTool): string | undefined;

/** Installs what is missing, where it may; tells the names of what is still missing. */
export function installTools(): string[];
