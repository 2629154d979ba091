/** A picture of where the time of a request goes: one bar for each case, all of the same width. */

/**
 * `HTTP` is what the caller measures beyond the answer's own total: sockets, parsing, writing. `main` is the
 * session, the cache, the scheduler, and the pipe to the worker and back.
 */
export const stageNames = ['HTTP', 'main', 'queue', 'tokenize', 'run'] as const;
export type StageName = (typeof stageNames)[number];

export interface Bar {
  readonly title: string;
  /** Mean ms of each stage. */
  readonly stages: Readonly<Record<StageName, number>>;
}

const COLOURS: Readonly<Record<StageName, string>> = {
  HTTP: '#4c78a8',
  main: '#72b7b2',
  queue: '#bab0ac',
  tokenize: '#f2cf5b',
  run: '#e45756',
};
const [LEFT, WIDTH, BAR, ROW, TOP] = [16, 768, 26, 62, 52] as const;
/** Narrower parts have no room for their number; the caption has all of them. */
const LEAST_LABELLED = 44;

export function stagesPicture(bars: readonly Bar[]): string {
  const height = TOP + bars.length * ROW + 8;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 800 ${height}" font-family="sans-serif" font-size="13" role="img" aria-label="Where the time of a request goes">`,
    `<rect width="800" height="${height}" fill="#fff"/>`,
    ...legend(),
    ...bars.flatMap((bar, row) => drawn(bar, TOP + row * ROW)),
    '</svg>',
    '',
  ].join('\n');
}

function legend(): readonly string[] {
  return stageNames.map((name, at) => {
    const x = LEFT + at * 110;
    return `<rect x="${x}" y="14" width="14" height="14" fill="${COLOURS[name]}"/><text x="${x + 20}" y="26">${name}</text>`;
  });
}

function drawn({ title, stages }: Bar, top: number): readonly string[] {
  const total = stageNames.reduce((sum, name) => sum + stages[name], 0);
  const caption = `${title}: ${shown(total)} ms (${stageNames.map((name) => `${name} ${shown(stages[name])}`).join(' · ')})`;
  const parts = [`<text x="${LEFT}" y="${top + 14}" font-size="12">${caption}</text>`];
  let x: number = LEFT;
  for (const name of stageNames) {
    const width = (stages[name] / total) * WIDTH;
    const place = `x="${x.toFixed(1)}" y="${top + 22}" width="${width.toFixed(1)}" height="${BAR}"`;
    parts.push(`<rect ${place} fill="${COLOURS[name]}"/>`);
    if (width >= LEAST_LABELLED) {
      const middle = (x + width / 2).toFixed(1);
      parts.push(
        `<text x="${middle}" y="${top + 40}" text-anchor="middle">${Math.round((100 * stages[name]) / total)} %</text>`,
      );
    }
    x += width;
  }
  return parts;
}

function shown(ms: number): string {
  return ms >= 100 ? ms.toFixed(0) : ms.toFixed(ms >= 10 ? 1 : 2);
}
