import { fileURLToPath } from 'node:url';
import { runnerImport } from 'vite';

// Node 20 reads no TypeScript: Vite does.
await runnerImport(fileURLToPath(new URL('stuck-machine.ts', import.meta.url)), {
  configFile: false,
  logLevel: 'error',
});
