/** Takes all the CPU time of one thread that it can get. */
process.send?.('started');
// Its parent may be killed, and a loop without an end would go on for hours.
process.on('disconnect', () => process.exit());

const SLICE_MS = 100;

function take(): void {
  const endsMs = performance.now() + SLICE_MS;
  while (performance.now() < endsMs);
  setImmediate(take);
}
take();
