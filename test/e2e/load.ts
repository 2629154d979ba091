import http from 'node:http';
import { classify, type Server, topLabel } from './harness.js';
import { textNumber } from './texts.js';

/** What a text must be answered with: its best label and score. */
export interface Expected {
  readonly text: string;
  readonly label: string;
  readonly score: number;
}

/** Answers of a server that nobody disturbs. */
export async function undisturbed(server: Server, count: number): Promise<readonly Expected[]> {
  const texts = Array.from({ length: count }, (_, index) => textNumber(index, 5 + (index % 25)));
  const { results } = await classify(server, texts);
  return texts.map((text, index) => ({
    text,
    label: topLabel(results[index]),
    score: results[index]?.[0]?.score ?? -1,
  }));
}

/** Users in a closed loop: each sends its next request when its last one has been answered. */
export class Load {
  readonly #server: Pick<Server, 'url'>;
  readonly #expected: readonly Expected[];
  readonly #fields: Readonly<Record<string, unknown>>;
  readonly #agent = new http.Agent({ keepAlive: true });
  readonly #users: readonly Promise<void>[];
  readonly wrong: string[] = [];
  answered = 0;
  #over = false;

  constructor(
    server: Pick<Server, 'url'>,
    expected: readonly Expected[],
    options: { readonly users: number; readonly fields?: Readonly<Record<string, unknown>> },
  ) {
    this.#server = server;
    this.#expected = expected;
    this.#fields = options.fields ?? {};
    this.#users = Array.from({ length: options.users }, (_, user) => this.#play(user));
  }

  /** Lets every user finish its request; what went wrong is in {@link wrong}. */
  async finish(): Promise<void> {
    this.#over = true;
    await Promise.all(this.#users);
    this.#agent.destroy();
  }

  async #play(user: number): Promise<void> {
    for (let turn = user; !this.#over; turn += 1) {
      const known = this.#expected[turn % this.#expected.length];
      if (known === undefined) throw new Error('there is nothing to send');
      try {
        const fields = { user: `user-${user}`, ...this.#fields };
        const { results } = await classify(this.#server, known.text, fields, this.#agent);
        const [best] = results[0] ?? [];
        const off = Math.abs((best?.score ?? -1) - known.score);
        if (best?.label !== known.label || off > 1e-4) {
          this.wrong.push(`${known.text}: ${JSON.stringify(best)} for ${known.label}`);
        }
        this.answered += 1;
      } catch (error) {
        this.wrong.push(String(error));
      }
    }
  }
}
