import { findTool } from '../../scripts/test-tools.mjs';

/** Path of PostgreSQL's program; undefined where it is not installed. */
export const postgresql: string | undefined = findTool('postgresql');
