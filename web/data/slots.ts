import type { ProcessView } from './wire.js';

/** Processes that the chart tells apart; the rest are one. */
export const SLOTS = 9;

/** Memory of the process in a slot. */
export interface SlotMoment {
  readonly name: string;
  readonly privateMb: number;
  readonly sharedMb: number;
}

type Memory = Pick<ProcessView, 'name' | 'private_mb' | 'shared_mb'>;

/**
 * Gives every process a place in the chart that it keeps while it lives: the main process the first,
 * a worker that replaces another one the place that became free, what has no place of its own the last.
 */
export class Slots {
  #names: (string | undefined)[] = new Array<string | undefined>(SLOTS).fill(undefined);

  place(processes: readonly Memory[]): readonly (SlotMoment | undefined)[] {
    const alive = new Set(processes.map(({ name }) => name));
    this.#names = this.#names.map((name) =>
      name !== undefined && alive.has(name) ? name : undefined,
    );
    const moments: (SlotMoment | undefined)[] = new Array<undefined>(SLOTS).fill(undefined);
    for (const process of processes) {
      const slot = this.#slotOf(process.name);
      const there = moments[slot];
      moments[slot] = {
        name: there === undefined ? process.name : 'others',
        privateMb: (there?.privateMb ?? 0) + process.private_mb,
        sharedMb: (there?.sharedMb ?? 0) + process.shared_mb,
      };
    }
    return moments;
  }

  #slotOf(name: string): number {
    const known = this.#names.indexOf(name);
    if (known !== -1) return known;
    const free = name === 'main' ? 0 : this.#names.indexOf(undefined, 1);
    if (free === -1 || free === SLOTS - 1) return SLOTS - 1;
    this.#names[free] = name;
    return free;
  }
}
