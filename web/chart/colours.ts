/**
 * Colours of the style sheet for the canvas, which knows neither variables nor light-dark(): an
 * element that nobody sees is coloured with them, and asked what came out.
 */
export class Colours {
  readonly #probe: HTMLElement;
  readonly #known = new Map<string, string>();

  constructor(near: HTMLElement) {
    this.#probe = document.createElement('i');
    this.#probe.hidden = true;
    near.append(this.#probe);
  }

  /** @param name of a custom property, such as `--ink`. */
  of(name: string): string {
    const known = this.#known.get(name);
    if (known !== undefined) return known;
    this.#probe.style.color = `var(${name})`;
    const colour = getComputedStyle(this.#probe).color;
    this.#known.set(name, colour);
    return colour;
  }

  /** The theme has changed: everything is asked for again. */
  forget(): void {
    this.#known.clear();
  }

  remove(): void {
    this.#probe.remove();
  }
}
