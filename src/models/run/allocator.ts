/**
 * Environment of every process that loads ONNX Runtime. glibc raises its mmap threshold after the
 * first large free and then keeps freed blocks; fixed thresholds make it give them back
 * (mallopt(3)). They must be set before the process starts.
 */
export const ALLOCATOR_ENVIRONMENT: Readonly<Record<string, string>> = {
  MALLOC_MMAP_THRESHOLD_: '262144',
  MALLOC_TRIM_THRESHOLD_: '131072',
  MALLOC_ARENA_MAX: '2',
  // Without bins that keep small blocks apart, what is free joins what is free beside it, and whole pages go back
  // (see trimNativeHeap): 1.5 MB less in each worker after 150 sessions on three models.
  GLIBC_TUNABLES: 'glibc.malloc.tcache_count=0:glibc.malloc.mxfast=0',
};

/**
 * Node's flags for the same processes. V8 lets the young generation grow to three semi-spaces of 16 MB and
 * keeps them; at 1 MB a worker that had opened three models with their tokenizers rests at 32 MB of
 * private memory instead of 49, and tokenizing costs about 7 % more CPU (measured with Node 20). Full collections
 * compact, so that no page of the heap stays for the few objects on it.
 */
export const LEAN_NODE_FLAGS: readonly string[] = [
  '--expose-gc',
  '--max-semi-space-size=1',
  '--compact-on-every-full-gc',
];
