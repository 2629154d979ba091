import type { Failure } from '../data/use-action.js';

/** Why an action failed, until it is dismissed or out of date. */
export function FailureMessage({
  failure,
  dismiss,
}: {
  readonly failure: Failure | undefined;
  readonly dismiss?: () => void;
}) {
  if (failure === undefined) return null;
  return (
    <div class="failure" role="alert">
      <p>{failure.message}</p>
      {dismiss !== undefined && (
        <button type="button" class="quiet" aria-label="Dismiss this message" onClick={dismiss}>
          ×
        </button>
      )}
    </div>
  );
}
