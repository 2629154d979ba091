import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vite';

/** `npx vite web` shows the page while one works on it, fed by a server on the usual port. */
const SERVER = 'http://127.0.0.1:8000';

export default defineConfig({
  root: fileURLToPath(new URL('.', import.meta.url)),
  // Relative addresses: the page also works below a path of a proxy.
  base: './',
  build: {
    outDir: fileURLToPath(new URL('../dist/web', import.meta.url)),
    emptyOutDir: true,
    // The server's content security policy allows no data: fonts.
    assetsInlineLimit: 0,
    // light-dark() and nesting are kept as they are.
    target: ['chrome123', 'firefox120', 'safari17.5'],
    modulePreload: false,
    reportCompressedSize: false,
  },
  server: { proxy: { '/v1': SERVER, '/health': SERVER, '/docs': SERVER } },
});
