const WORDS = (
  'the a of and to in is you that it he was for on are as with his they I at be this have from or one had by ' +
  'word but not what all were we when your can said there use an each which she do how their if will up other ' +
  'about out many then them these so some her would make like him into time has look two more write go see ' +
  'number no way could people my than first water been call who oil its now find long down day did get come ' +
  'made may part money offer free click account meeting report invoice tomorrow project winner prize urgent'
).split(' ');

/** Texts without end, no two alike, so that the result cache never answers. The same seed gives the same texts. */
export class Texts {
  #state: number;
  #count = 0;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** The next text, of so many words. */
  next(words = 12): string {
    this.#count += 1;
    const chosen = Array.from({ length: words }, () => WORDS[this.#random() % WORDS.length]);
    return `${chosen.join(' ')} ${this.#count}`;
  }

  /** xorshift32: G. Marsaglia, "Xorshift RNGs", Journal of Statistical Software 8 (2003). */
  #random(): number {
    let x = this.#state || 1;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#state = x >>> 0;
    return this.#state;
  }
}
