import type { Abortable } from '../cache/abortable.js';
import { PlimsollError } from '../errors.js';
import type { Classification, Classifier } from '../inference/classify.js';
import type { ScoreFunction } from '../models/intake/reading/scoring.js';
import type { ModelRepository } from '../models/intake/repository.js';
import type { SessionRegistry } from './registry.js';

export interface SessionRequest {
  readonly inputs: readonly string[];
  readonly model: string | undefined;
  readonly topK: number | undefined;
  /** What is applied to the logits; the model's own if undefined. */
  readonly function?: ScoreFunction | undefined;
  readonly session: string | undefined;
  readonly user: string;
}

export interface SessionAnswer extends Classification {
  readonly session: string;
  readonly user: string;
}

/** An answer as it is recorded. */
export interface Answered {
  readonly answer: SessionAnswer;
  readonly inputs: readonly string[];
  readonly tookMs: number;
}

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
  }) {
    this.#registry = parts.registry;
    this.#classifier = parts.classifier;
    this.#repository = parts.repository;
    this.#defaultModel = parts.defaultModel;
    this.#admit = parts.admit;
    this.#onAnswer = parts.onAnswer;
  }

  /**
   * Seats the user in the session, classifies, and frees the seat. Synchronous if every result is in
   * memory: an answer that waits for nothing should not pay for a promise.
   *
   * @param abort its signal is read only if there is something to wait for.
   * @throws PlimsollError those of the registry's `enter` and of the classifier
   */
  classify(request: SessionRequest, abort: Abortable): SessionAnswer | Promise<SessionAnswer> {
    this.#admit();
    const model = request.model ?? this.#theDefaultModel();
    if (model === undefined) {
      return this.#lookForDefault().then((id) => this.#classifyWith(id, request, abort));
    }
    return this.#classifyWith(model, request, abort);
  }

  /**
   * The model that a request is for: the one that it names, else the default one.
   *
   * @throws PlimsollError INVALID_REQUEST if there is no default one
   */
  idOf(name: string | undefined): string | Promise<string> {
    return name ?? this.#theDefaultModel() ?? this.#lookForDefault();
  }

  #classifyWith(
    model: string,
    request: SessionRequest,
    abort: Abortable,
  ): SessionAnswer | Promise<SessionAnswer> {
    if (this.#repository.known(model) !== undefined) return this.#seat(model, request, abort);
    // An unknown model must not take a seat in a session.
    return this.#repository.find(model).then(() => this.#seat(model, request, abort));
  }

  #seat(
    model: string,
    request: SessionRequest,
    abort: Abortable,
  ): SessionAnswer | Promise<SessionAnswer> {
    const begunMs = performance.now();
    const { inputs, topK, user, function: asked } = request;
    const seat = this.#registry.enter(request.session, user, model);
    const give = (found: Classification): SessionAnswer | Promise<SessionAnswer> => {
      const { model: of, results, truncated, cached, inputHashes, timing } = found;
      const { session } = seat;
      const answer = { model: of, results, truncated, cached, inputHashes, timing, session, user };
      const room = this.#onAnswer({ answer, inputs, tookMs: performance.now() - begunMs });
      seat.leave(true);
      return room === undefined ? answer : room.then(() => answer);
    };
    const fail = (error: unknown): never => {
      seat.leave(false);
      throw error;
    };
    try {
      const found = this.#classifier.classify(
        { model, inputs, topK, user, function: asked },
        abort,
      );
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
      this.#scan = this.#repository.scan();
    }
    return this.#scan;
  }
}
