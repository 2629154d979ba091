import { ProcessSlots, SLOTS, type SlotReading } from './process-slots.js';
import { Series } from './series.js';
import type { ProcessReadings, ProcessView, Reading, State } from './wire.js';

/** A little more than half an hour, at one reading a second. */
const SECONDS = 2000;
/** A day. */
const MINUTES = 1440;
/** Columns of `seconds` and `minutes`. */
export const TOTALS = { time: 0, used: 1, line: 2, private: 3, pss: 4 } as const;
/** Figures of one slot in `processes`: code of the name, private MB, shared MB. */
const FIELDS = 3;
const OTHERS = -1;

/** Readings over time, bounded however long the page stays open. Times are seconds since 1970. */
export class History {
  readonly seconds = new Series(SECONDS, Object.keys(TOTALS).length);
  readonly minutes = new Series(MINUTES, Object.keys(TOTALS).length);
  readonly processes = new Series(SECONDS, 1 + SLOTS * FIELDS);
  #slots = new ProcessSlots();

  addState(state: State): void {
    const sum = (of: (process: ProcessView) => number) =>
      state.processes.reduce((total, process) => total + of(process), 0);
    const privateMb = sum((of) => of.private_mb);
    this.#addTotals(this.seconds, {
      at: state.at,
      server_used_mb: state.server_used_mb,
      load_line_mb: state.load_line_mb,
      private_mb: privateMb,
      pss_mb: privateMb + sum((of) => of.shared_mb),
    });
    this.#addProcesses(Date.parse(state.at), state.processes);
  }

  /** Readings from before the page was opened, or from while the stream was closed. */
  addReadings(seconds: readonly Reading[], { names, readings }: ProcessReadings): void {
    for (const reading of seconds) this.#addTotals(this.seconds, reading);
    for (const { at_ms: atMs, processes } of readings) {
      const named = processes.map(([name, privateMb, sharedMb]) => ({
        name: names[name] ?? 'unknown',
        private_mb: privateMb,
        shared_mb: sharedMb,
      }));
      this.#addProcesses(atMs, named);
    }
  }

  replaceMinutes(minutes: readonly Reading[]): void {
    this.minutes.clear();
    for (const reading of minutes) this.#addTotals(this.minutes, reading);
  }

  /** A slot's process at a reading of `processes`; undefined where the slot was empty. */
  slotAt(index: number, slot: number): SlotReading | undefined {
    const column = 1 + slot * FIELDS;
    const code = this.processes.at(index, column);
    if (code === 0) return undefined;
    return {
      name: nameFrom(code),
      privateMb: this.processes.at(index, column + 1),
      sharedMb: this.processes.at(index, column + 2),
    };
  }

  #addTotals(series: Series, reading: Reading): void {
    series.push([
      Date.parse(reading.at) / 1000,
      reading.server_used_mb,
      reading.load_line_mb,
      reading.private_mb,
      reading.pss_mb,
    ]);
  }

  #addProcesses(
    atMs: number,
    processes: readonly Pick<ProcessView, 'name' | 'private_mb' | 'shared_mb'>[],
  ): void {
    const figures = this.#slots
      .place(processes)
      .flatMap((slot) =>
        slot === undefined ? [0, 0, 0] : [codeOf(slot.name), slot.privateMb, slot.sharedMb],
      );
    this.processes.push([atMs / 1000, ...figures]);
  }
}

/** Encodes a process's name as a number, so that a reading fits a Float64Array; 0 is an empty slot. */
function codeOf(name: string): number {
  if (name === 'main') return 1;
  const number = Number(/\d+$/.exec(name)?.[0] ?? Number.NaN);
  if (Number.isNaN(number)) return OTHERS;
  return name.startsWith('worker-') ? 2 + number : OTHERS - 1 - number;
}

function nameFrom(code: number): string {
  if (code === 1) return 'main';
  if (code === OTHERS) return 'others';
  return code > 0 ? `worker-${code - 2}` : `preparer-${OTHERS - 1 - code}`;
}
