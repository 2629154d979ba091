/**
 * Colours of the style sheet for the canvas, which understands neither custom properties nor
 * light-dark(). A hidden element is given the colour, and its computed style is read.
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

  /** To be called when the theme has changed. */
  forget(): void {
    this.#known.clear();
  }

  remove(): void {
    this.#probe.remove();
  }
}
