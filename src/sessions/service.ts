import { type Abortable, unlessAborted } from '../cache/abortable.js';
import { PlimsollError } from '../errors.js';
import type { Classification } from '../inference/answers.js';
import { chunkCountOf } from '../inference/batch-inputs.js';
import type { Classifier } from '../inference/classify.js';
import type { LabelScore, RowTask } from '../inference/row-task.js';
import type { ModelDescription } from '../models/intake/description.js';
import type { ModelRepository } from '../models/intake/repository.js';
import type { Entity } from '../models/run/entities.js';
import { writtenOf } from '../tasks/input.js';
import { type Logits, logits } from '../tasks/logits.js';
import { type Rerank, rerank } from '../tasks/rerank.js';
import { type TextClassification, textClassification } from '../tasks/text-classification.js';
import { type TokenClassification, tokenClassification } from '../tasks/token-classification.js';
import { type ZeroShot, zeroShot } from '../tasks/zero-shot.js';
import type { Seat, SessionRegistry } from './registry.js';

/** Who asks, and which model; what is asked is beside it. */
export interface Asked {
  /** Undefined: the server's own choice. */
  readonly model: string | undefined;
  /** Undefined: the ambient session. */
  readonly session: string | undefined;
  readonly user: string;
  /**
   * Takes rows from the limit of the caller's key, where it has one.
   *
   * @returns what the request is to wait for, if anything. @throws PlimsollError RATE_LIMITED, TOO_MANY_INPUTS
   */
  readonly take?: ((rows: number) => Promise<void> | undefined) | undefined;
}

export interface SessionAnswer<R = readonly LabelScore[]> extends Classification<R> {
  readonly session: string;
  readonly user: string;
}

/** An answer as it is recorded. */
export interface Answered {
  readonly answer: SessionAnswer<unknown>;
  /** What is recorded of one of its results. */
  readonly best: (index: number) => LabelScore | undefined;
  readonly inputOf: (index: number) => string;
  readonly tookMs: number;
}

/** A task with what was asked in words, for the records. */
interface Call<R> extends Asked {
  readonly task: RowTask<R>;
  /** What it costs; for some requests the model decides. */
  readonly rows: number | ((of: Pick<ModelDescription, 'maxTokens'>) => number);
  readonly inputOf: (index: number) => string;
}

type Given<R> = SessionAnswer<R> | Promise<SessionAnswer<R>>;

/** Time between two looks at the models folder for a default model. */
const SCAN_AGAIN_MS = 5000;

/** Classifies for the users of sessions. */
export class ClassificationService {
  readonly #registry: SessionRegistry;
  readonly #classifier: Classifier;
  readonly #repository: ModelRepository;
  readonly #defaultModel: string;
  /** What the default model was the last time that there was one. */
  #lastDefault: string | undefined;
  #scan: Promise<void> = Promise.resolve();
  #scannedAtMs = Number.NEGATIVE_INFINITY;
  readonly #admit: () => void;
  readonly #onAnswer: (answered: Answered) => Promise<void> | undefined;
  readonly #onFailure: (model: string, tookMs: number) => void;

  constructor(parts: {
    readonly registry: SessionRegistry;
    readonly classifier: Classifier;
    readonly repository: ModelRepository;
    /** If empty: `spam`, or the only model there is. */
    readonly defaultModel: string;
    /** Called before every request; throws to refuse it. */
    readonly admit: () => void;
    /** Told of every answer before it is given. @returns what the answer is to wait for, if anything */
    readonly onAnswer: (answered: Answered) => Promise<void> | undefined;
    /** Told of every request to a model that failed, with the model's id. */
    readonly onFailure?: (model: string, tookMs: number) => void;
  }) {
    this.#registry = parts.registry;
    this.#classifier = parts.classifier;
    this.#repository = parts.repository;
    this.#defaultModel = parts.defaultModel;
    this.#admit = parts.admit;
    this.#onAnswer = parts.onAnswer;
    this.#onFailure = parts.onFailure ?? (() => undefined);
  }

  /**
   * Labels of texts, or of pairs of texts. Synchronous if every result is in memory: an answer that waits for nothing
   * should not pay for a promise. So are the other tasks below.
   *
   * @param abort its signal is read only if there is something to wait for.
   * @throws PlimsollError those of the registry's `enter`, of the task and of the classifier
   */
  classify(request: Asked & TextClassification, abort: Abortable): Given<readonly LabelScore[]> {
    const { inputs, model, session, user, take } = request;
    const inputOf = (index: number) => writtenOf(inputs[index] ?? '');
    const task = textClassification(request);
    // No spread here: this is the hot path of cached answers.
    return this.#ask({ model, session, user, take, task, rows: inputs.length, inputOf }, abort);
  }

  /** Labels that the model was not trained for, best first. */
  zeroShot(request: Asked & ZeroShot, abort: Abortable): Given<readonly LabelScore[]> {
    const inputOf = (index: number) => request.texts[index] ?? '';
    return this.#ask(
      {
        ...whoOf(request),
        task: zeroShot(request),
        rows: request.texts.length * request.candidateLabels.length,
        inputOf,
      },
      abort,
    );
  }

  /** How well documents answer a query: one score each, in their order. */
  rerank(request: Asked & Rerank, abort: Abortable): Given<number> {
    const { query, documents } = request;
    const inputOf = (index: number) => `${query}\n${documents[index] ?? ''}`;
    return this.#ask(
      { ...whoOf(request), task: rerank(request), rows: documents.length, inputOf },
      abort,
    );
  }

  /** The named entities of texts. With a stride each chunk of a text costs a row. */
  tokens(request: Asked & TokenClassification, abort: Abortable): Given<readonly Entity[]> {
    const { texts, stride } = request;
    const inputOf = (index: number) => texts[index] ?? '';
    const rows =
      stride === undefined
        ? texts.length
        : ({ maxTokens }: { readonly maxTokens: number }) => chunkCountOf(texts, maxTokens, stride);
    return this.#ask(
      { ...whoOf(request), task: tokenClassification(request), rows, inputOf },
      abort,
    );
  }

  /** Raw outputs of rows of token ids. */
  logits(request: Asked & Logits, abort: Abortable): Given<readonly number[]> {
    const inputOf = (index: number) => request.rows[index]?.ids.join(' ') ?? '';
    return this.#ask(
      { ...whoOf(request), task: logits(request), rows: request.rows.length, inputOf },
      abort,
    );
  }

  /** Seats the user in the session, runs the task, and frees the seat. */
  #ask<R>(call: Call<R>, abort: Abortable): Given<R> {
    this.#admit();
    const taken = this.#take(call);
    return taken === undefined
      ? this.#askAny(call, abort)
      : taken.then(() => this.#askAny(call, abort));
  }

  /** Takes what a request costs from its caller's limit, if there is one. */
  #take({
    take,
    rows,
    model,
  }: Pick<Call<unknown>, 'take' | 'rows' | 'model'>): Promise<void> | undefined {
    if (take === undefined) return undefined;
    return typeof rows === 'number' ? take(rows) : this.#takeBy(model, rows, take);
  }

  async #takeBy(
    name: string | undefined,
    rowsOf: Exclude<Call<unknown>['rows'], number>,
    take: NonNullable<Asked['take']>,
  ): Promise<void> {
    const id = await this.idOf(name);
    const { description } = this.#repository.known(id) ?? (await this.#repository.find(id));
    await take(rowsOf(description));
  }

  #askAny<R>(call: Call<R>, abort: Abortable): Given<R> {
    const model = call.model ?? this.#theDefaultModel();
    if (model === undefined) {
      return this.#lookForDefault().then((id) => this.#askOf(id, call, abort));
    }
    return this.#askOf(model, call, abort);
  }

  /**
   * The model that a request is for: the one that it names, else the default one.
   *
   * @throws PlimsollError INVALID_REQUEST if there is no default one
   */
  idOf(name: string | undefined): string | Promise<string> {
    return name ?? this.#theDefaultModel() ?? this.#lookForDefault();
  }

  #askOf<R>(name: string, call: Call<R>, abort: Abortable): Given<R> {
    const known = this.#repository.known(name);
    if (known !== undefined) return this.#seat(known.id, call, abort);
    // An unknown model must not take a seat in a session.
    const found = unlessAborted(this.#repository.find(name), abort.signal);
    return found.then(({ id }) => this.#seat(id, call, abort));
  }

  /** @param model its id, not an alias: by that the cleanups of other sessions ask whether it is still used */
  #seat<R>(model: string, call: Call<R>, abort: Abortable): Given<R> {
    const begunMs = performance.now();
    const seat = this.#registry.enterAny(call.session, call.user, model);
    if (!(seat instanceof Promise)) return this.#run(seat, begunMs, model, call, abort);
    return seat.then((taken) => this.#run(taken, begunMs, model, call, abort));
  }

  #run<R>(
    seat: Seat,
    begunMs: number,
    model: string,
    { user, task, inputOf }: Call<R>,
    abort: Abortable,
  ): Given<R> {
    const give = (found: Classification<R>): Given<R> => {
      const { model: of, results, truncated, cached, inputHashes, timing } = found;
      const { session } = seat;
      const answer = { model: of, results, truncated, cached, inputHashes, timing, session, user };
      const best = (index: number) => task.best(results[index] as R);
      const tookMs = performance.now() - begunMs;
      const room = this.#onAnswer({ answer, best, inputOf, tookMs });
      seat.leave(true);
      return room === undefined ? answer : room.then(() => answer);
    };
    const fail = (error: unknown): never => {
      seat.leave(false);
      this.#onFailure(model, performance.now() - begunMs);
      throw error;
    };
    try {
      const found = this.#classifier.classify({ model, task, user }, abort);
      return found instanceof Promise ? found.then(give, fail) : give(found);
    } catch (error) {
      return fail(error);
    }
  }

  /**
   * The model that answers when a request names none; undefined if the folder has to be looked at first: there is none, or it would
   * be another one than before, as when models were moved away and some of them are back.
   */
  #theDefaultModel(): string | undefined {
    const id = this.#defaultOf(this.#repository.list());
    this.#lastDefault ??= id;
    return id === this.#lastDefault ? id : undefined;
  }

  #defaultOf(models: readonly { readonly id: string }[]): string | undefined {
    if (this.#defaultModel !== '') return this.#defaultModel;
    if (this.#repository.known('spam') !== undefined) return 'spam';
    // A model that joins later must not take the default away from one that was there.
    const first = models.filter(({ id }) => this.#repository.named(id)?.isLate !== true);
    const [only, ...others] = first.length > 0 ? first : models;
    return others.length === 0 ? only?.id : undefined;
  }

  /** @throws PlimsollError INVALID_REQUEST if there is none, or several */
  async #lookForDefault(): Promise<string> {
    await this.#scanOnce();
    const models = this.#repository.list();
    const id = this.#defaultOf(models);
    if (id !== undefined) {
      this.#lastDefault = id;
      return id;
    }
    const names = models.slice(0, 20).map((model) => model.id);
    throw new PlimsollError(
      'INVALID_REQUEST',
      `name a model: there is ${names.join(', ') || 'none'}`,
    );
  }

  /** Whoever asks meanwhile, or a moment later, gets what was found. */
  #scanOnce(): Promise<void> {
    const nowMs = performance.now();
    if (nowMs - this.#scannedAtMs >= SCAN_AGAIN_MS) {
      this.#scannedAtMs = nowMs;
      this.#scan = this.#repository.scanInTime();
    }
    return this.#scan;
  }
}

function whoOf({ model, session, user, take }: Asked): Asked {
  return { model, session, user, take };
}
