/** Takes all the CPU time of one thread that it can get. */
process.send?.('started');
setImmediate(() => {
  for (;;);
});
