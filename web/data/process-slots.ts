import type { ProcessView } from './wire.js';

/** Processes that the chart shows apart; the rest share the last slot. */
export const SLOTS = 9;

/** The process in a slot, at one reading. */
export interface SlotReading {
  readonly name: string;
  readonly privateMb: number;
  readonly sharedMb: number;
}

type Memory = Pick<ProcessView, 'name' | 'private_mb' | 'shared_mb'>;

/**
 * Assigns processes to slots, that is to colours and layers of the chart. A process keeps its slot while
 * it lives. The main process has the first; a new worker takes the first free one.
 */
export class ProcessSlots {
  #names: (string | undefined)[] = new Array<string | undefined>(SLOTS).fill(undefined);

  place(processes: readonly Memory[]): readonly (SlotReading | undefined)[] {
    const alive = new Set(processes.map(({ name }) => name));
    this.#names = this.#names.map((name) =>
      name !== undefined && alive.has(name) ? name : undefined,
    );
    const readings: (SlotReading | undefined)[] = new Array<undefined>(SLOTS).fill(undefined);
    for (const process of processes) {
      const slot = this.#slotOf(process.name);
      const there = readings[slot];
      readings[slot] = {
        name: there === undefined ? process.name : 'others',
        privateMb: (there?.privateMb ?? 0) + process.private_mb,
        sharedMb: (there?.sharedMb ?? 0) + process.shared_mb,
      };
    }
    return readings;
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
