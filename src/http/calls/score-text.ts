/** Quoted names of models, sessions, users and labels that are remembered: at most about 1 MB, where thousands of users are active. */
const KNOWN_NAMES = 4096;
/** Length of a piece of a large answer: about half a millisecond of writing. */
const SLICE_CHARACTERS = 64 * 1024;

/** Labels with their scores. */
export type ScoreList = readonly { readonly label: string; readonly score: number }[];

/**
 * Writes lists of labels with their scores as JSON. By hand: a general serializer takes twice the time of an answer
 * from the cache.
 */
export class ScoreText {
  /** Names as JSON: there are few, and quoting them each time would be most of the work. */
  readonly #quoted = new Map<string, string>();

  /** The lists, divided by commas, between two texts. */
  of(lists: readonly ScoreList[], before: string, behind: string): string {
    let text = '';
    for (const list of lists) text += `${text === '' ? '' : ','}${this.#list(list)}`;
    return before + text + behind;
  }

  /** The same text in pieces, for an answer whose whole text would take long to write and much memory. */
  *slices(lists: readonly ScoreList[], before: string, behind: string): Generator<string, void> {
    let slice = before;
    for (const [index, list] of lists.entries()) {
      slice += `${index === 0 ? '' : ','}${this.#list(list)}`;
      if (slice.length < SLICE_CHARACTERS) continue;
      yield slice;
      slice = '';
    }
    yield slice + behind;
  }

  name(name: string): string {
    const known = this.#quoted.get(name);
    if (known !== undefined) return known;
    const quoted = JSON.stringify(name);
    if (this.#quoted.size >= KNOWN_NAMES) this.#quoted.clear();
    this.#quoted.set(name, quoted);
    return quoted;
  }

  #list(list: ScoreList): string {
    let items = '';
    for (const { label, score } of list) {
      items += `${items === '' ? '' : ','}{"label":${this.name(label)},"score":${score}}`;
    }
    return `[${items}]`;
  }
}
