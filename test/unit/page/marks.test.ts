import { describe, expect, test } from 'vitest';
import { shownReceipt } from '../../../src/memory/receipt.js';
import { loadMark, receiptMarks, sessionMark } from '../../../src/page/marks.js';
import type { SessionView } from '../../../src/sessions/session.js';
import { figures, receipt } from '../memory/receipts.js';

const step = { durationMs: 10.4, freedBytes: 2 ** 20 };
const session: SessionView = {
  id: 's_1',
  state: 'ended',
  ambient: false,
  maxUsers: 8,
  users: 1,
  requests: 12,
  failures: 0,
  latency: null,
  openedAtMs: 0,
  endedAtMs: 1,
  endCause: 'idle',
  takenBytes: null,
  cleanup: receipt(),
};

describe('a mark', () => {
  test('of a session says who worked and what came back', () => {
    expect(sessionMark(session)).toEqual({
      kind: 'session_ended',
      text: 'session ended (idle) with 1 user, 12 requests; its cleanup gave back 80.0 MB in 12 ms',
      session: 's_1',
      ended: expect.objectContaining({ id: 's_1', users: 1, requests: 12, end_cause: 'idle' }),
      receipt: shownReceipt(receipt()),
    });
    const failed = sessionMark({ ...session, cleanup: null });
    expect(failed.text).toMatch(/its cleanup failed$/);
    expect(failed).not.toHaveProperty('receipt');
  });

  test('of a load names model and worker', () => {
    expect(loadMark('spam', 'worker-1', 31.6)).toEqual({
      kind: 'model_loaded',
      text: 'spam opened in worker-1 in 32 ms',
      model: 'spam',
      worker: 'worker-1',
    });
  });

  test('is made for each model that a receipt unloaded and each worker that it replaced', () => {
    const actions = [
      { action: 'unload_model', model: 'a', worker: 'worker-1', ...step },
      { action: 'unload_model', model: 'a', worker: 'worker-2', ...step },
      { action: 'unload_model', model: 'b', worker: 'worker-1', ...step },
      { action: 'replace_worker', worker: 'worker-2', ...step },
      { action: 'collect_garbage', worker: 'main', ...step },
    ];
    const of = receipt({ kind: 'recycle', cause: '50 users', session: null, actions });
    const marks = receiptMarks(of);
    expect(marks.map(({ kind, model, worker, text }) => [kind, model ?? worker, text])).toEqual([
      ['model_unloaded', 'a', 'a unloaded (recycle: 50 users)'],
      ['model_unloaded', 'b', 'b unloaded (recycle: 50 users)'],
      ['worker_recycled', 'worker-2', 'worker-2 replaced in 10 ms (50 users)'],
    ]);
    for (const mark of marks) expect(mark.receipt).toEqual(shownReceipt(of));
  });

  test('is one for all models where a receipt unloaded many', () => {
    const actions = Array.from({ length: 17 }, (_, index) => ({
      action: 'unload_model',
      model: `m${index}`,
      ...step,
    }));
    const marks = receiptMarks(receipt({ kind: 'pressure', cause: 'x', session: null, actions }));
    expect(marks.map(({ kind, text }) => [kind, text])).toEqual([
      ['model_unloaded', '17 models unloaded (pressure: x)'],
    ]);
  });

  test('of a receipt that did neither is the receipt; not a session’s, which has its own', () => {
    const nothing = { before: figures(1000, 200), after: figures(1000, 201) };
    const asked = receipt({ ...nothing, cause: 'asked for', session: null });
    expect(receiptMarks(asked)).toEqual([
      {
        kind: 'receipt',
        text: 'cleanup (asked for) gave back nothing in 12 ms',
        receipt: shownReceipt(asked),
      },
    ]);
    expect(receiptMarks(receipt())).toEqual([]);
  });
});
