import type { Stop } from '../cache/stop.js';
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

/** What is recorded of an answer. */
export interface Answered {
  readonly answer: SessionAnswer;
  readonly inputs: readonly string[];
  readonly tookMs: number;
}

/** Classifies for the users of sessions. */
export class ClassificationService {
  readonly #registry: SessionRegistry;
  readonly #classifier: Classifier;
  readonly #repository: ModelRepository;
  readonly #defaultModel: string;
  readonly #admit: () => void;
  readonly #onAnswer: (answered: Answered) => void;

  constructor(parts: {
    readonly registry: SessionRegistry;
    readonly classifier: Classifier;
    readonly repository: ModelRepository;
    /** Empty: `spam`, or the only model there is. */
    readonly defaultModel: string;
    /** Called before every request; throws where none may be taken. */
    readonly admit: () => void;
    /** Told of every answer before it is given. */
    readonly onAnswer: (answered: Answered) => void;
  }) {
    this.#registry = parts.registry;
    this.#classifier = parts.classifier;
    this.#repository = parts.repository;
    this.#defaultModel = parts.defaultModel;
    this.#admit = parts.admit;
    this.#onAnswer = parts.onAnswer;
  }

  /**
   * Seats the user in the session, classifies, and gives the seat back. What memory knows is answered
   * without a promise: most requests that wait for nothing should cost nothing to wait for.
   *
   * @param stop its signal is asked for only where there is something to wait for.
   * @throws PlimsollError those of the registry's `enter` and of the classifier
   */
  classify(request: SessionRequest, stop: Stop): SessionAnswer | Promise<SessionAnswer> {
    this.#admit();
    const model = request.model ?? this.#theDefaultModel();
    if (this.#repository.known(model) !== undefined) return this.#seat(model, request, stop);
    // A name that nobody has must not take a seat in a session.
    return this.#repository.find(model).then(() => this.#seat(model, request, stop));
  }

  #seat(
    model: string,
    request: SessionRequest,
    stop: Stop,
  ): SessionAnswer | Promise<SessionAnswer> {
    const begunMs = performance.now();
    const { inputs, topK, user, function: asked } = request;
    const seat = this.#registry.enter(request.session, user, model);
    const give = (found: Classification): SessionAnswer => {
      const { model: of, results, truncated, cached, inputHashes, timing } = found;
      const { session } = seat;
      const answer = { model: of, results, truncated, cached, inputHashes, timing, session, user };
      this.#onAnswer({ answer, inputs, tookMs: performance.now() - begunMs });
      seat.leave(true);
      return answer;
    };
    const fail = (error: unknown): never => {
      seat.leave(false);
      throw error;
    };
    try {
      const found = this.#classifier.classify({ model, inputs, topK, user, function: asked }, stop);
      return found instanceof Promise ? found.then(give, fail) : give(found);
    } catch (error) {
      return fail(error);
    }
  }

  #theDefaultModel(): string {
    if (this.#defaultModel !== '') return this.#defaultModel;
    if (this.#repository.known('spam') !== undefined) return 'spam';
    const ids = this.#repository.list().map((model) => model.id);
    const [only] = ids;
    if (only !== undefined && ids.length === 1) return only;
    const names = ids.slice(0, 20).join(', ') || 'none';
    throw new PlimsollError('INVALID_REQUEST', `name a model: there is ${names}`);
  }
}
