import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vite';

/** `npx vite web` serves the page for development; its data come from a server on the default port. */
const SERVER = 'http://127.0.0.1:8000';

export default defineConfig({
  root: fileURLToPath(new URL('.', import.meta.url)),
  // Relative addresses, so that the page works below any path of a proxy.
  base: './',
  build: {
    outDir: fileURLToPath(new URL('../dist/web', import.meta.url)),
    emptyOutDir: true,
    // The server's content security policy forbids data: fonts, so nothing is inlined.
    assetsInlineLimit: 0,
    // The oldest browsers with light-dark() and container queries; nothing is rewritten for older ones.
    target: ['chrome123', 'firefox120', 'safari17.5'],
    modulePreload: false,
    reportCompressedSize: false,
  },
  server: { proxy: { '/v1': SERVER, '/health': SERVER, '/docs': SERVER } },
});
