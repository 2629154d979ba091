import { PlimsollError } from '../errors.js';
import type { Classification, Classifier } from '../inference/classify.js';
import type { ModelRepository } from '../models/repository.js';
import type { SessionRegistry } from './registry.js';

export interface SessionRequest {
  readonly inputs: readonly string[];
  readonly model: string | undefined;
  readonly topK: number | undefined;
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
   * Seats the user in the session, classifies, and gives the seat back.
   *
   * @throws PlimsollError those of the registry's `enter` and of the classifier
   */
  async classify(request: SessionRequest, signal: AbortSignal): Promise<SessionAnswer> {
    const begunMs = performance.now();
    this.#admit();
    const model = request.model ?? this.#theDefaultModel();
    // A name that nobody has must not take a seat in a session.
    await this.#repository.find(model);
    const seat = this.#registry.enter(request.session, request.user, model);
    let succeeded = false;
    try {
      const { inputs, topK, user } = request;
      const answer = await this.#classifier.classify({ model, inputs, topK, user }, signal);
      succeeded = true;
      const whole = { ...answer, session: seat.session, user: request.user };
      this.#onAnswer({ answer: whole, inputs, tookMs: performance.now() - begunMs });
      return whole;
    } finally {
      seat.leave(succeeded);
    }
  }

  #theDefaultModel(): string {
    if (this.#defaultModel !== '') return this.#defaultModel;
    const ids = this.#repository.list().map((model) => model.id);
    const [only] = ids;
    if (ids.includes('spam')) return 'spam';
    if (only !== undefined && ids.length === 1) return only;
    const names = ids.slice(0, 20).join(', ') || 'none';
    throw new PlimsollError('INVALID_REQUEST', `name a model: there is ${names}`);
  }
}
