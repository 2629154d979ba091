import type { ResultCache } from '../cache/result-cache.js';
import type { Dispatcher } from '../inference/dispatcher.js';
import type { MappedForm } from '../models/compile/mapped-form.js';
import type { Model } from '../models/intake/repository.js';
import type { ModelLibrary } from '../models/library.js';
import type { Archive } from './archive/archive.js';
import type { Logger } from './log.js';

interface ReplacedFormParts {
  readonly log: Logger;
  readonly archive: Archive;
  readonly library: ModelLibrary;
  readonly dispatcher: Dispatcher;
  readonly results: ResultCache;
}

/**
 * A form was found damaged: nothing that came of it is served any more.
 *
 * @param form if it was in use in this run
 */
export function replaceForm(
  { log, archive, library, dispatcher, results }: ReplacedFormParts,
  { id }: Model,
  reason: string,
  form?: MappedForm,
): void {
  const line = 'a mapped form is missing or damaged, and is made anew';
  log.warn({ model: id, reason }, line);
  archive.keepEvent({ kind: 'form_replaced', text: `${line}: ${reason}`, model: id });
  if (form === undefined) return;
  library.forget(id, form);
  dispatcher.condemned.add(id, form.instance);
  // Its wrong scores may have been kept under the digest of the right ones.
  results.clear(results.redis === undefined ? 'memory' : 'both').catch((error: unknown) => {
    log.warn({ err: error }, 'results of a damaged form may still be in Redis');
  });
}
