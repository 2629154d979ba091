import { findPython } from '../../scripts/test-python.mjs';
import { findTool } from '../../scripts/test-tools.mjs';

/** Path of PostgreSQL's program; undefined where it is not installed. */
export const postgresql: string | undefined = findTool('postgresql');

/** Path of pgbouncer's program; undefined where it is not installed. */
export const pgbouncer: string | undefined = findTool('pgbouncer');

/** Path of Redis's program; undefined where it is not installed. */
export const redis: string | undefined = findTool('redis');

/** Path of Chromium's program; undefined where it is not installed. */
export const chromium: string | undefined = findTool('chromium');

/** Path of HAProxy's program; undefined where it is not installed. */
export const haproxy: string | undefined = findTool('haproxy');

/** Path of systemd's own judge of units; undefined where it is not installed. */
export const systemdAnalyze: string | undefined = findTool('systemd');

/** A Python that has the clients of other protocols: see scripts/test-python.mjs. */
export const pythonClients: string | undefined = findPython('clients');

/** A Python that has a server of S3: see scripts/test-python.mjs. */
export const pythonS3: string | undefined = findPython('s3');

/** A Python that has what judges deploy/: see scripts/test-python.mjs. */
export const pythonDeploy: string | undefined = findPython('deploy');
