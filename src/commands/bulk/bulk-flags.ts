import { existsSync } from 'node:fs';
import path from 'node:path';
import { COMPRESSIONS, FILE_FORMATS, JOB_TASKS, type JobRequest } from '../../contract/jobs.js';
import { literally } from '../../jobs/files/glob.js';
import { SettingError } from '../../settings/setting.js';
import type { CommonFlags } from '../flags.js';

/** Flags of `plimsoll bulk`. */
export interface BulkFlags extends Omit<CommonFlags, 'model'> {
  readonly model?: string;
  readonly out: string;
  readonly server?: string;
  readonly detach?: boolean;
  readonly task?: string;
  readonly text?: string;
  readonly textPair?: string;
  readonly id?: string;
  readonly keep?: string;
  readonly format?: string;
  readonly compress?: string;
  readonly inputFormat?: string;
  readonly delimiter?: string;
  readonly allScores?: boolean;
  readonly topK?: string;
  readonly threshold?: string;
  readonly function?: string;
  readonly label?: readonly string[];
  readonly template?: string;
  readonly multiLabel?: boolean;
  readonly query?: string;
  readonly aggregation?: string;
  readonly maxErrors?: string;
  readonly shardRows?: string;
}

/**
 * The job that the flags ask for. Paths of this machine become absolute: the job is the same wherever it is asked for again.
 *
 * @throws SettingError naming the flag
 */
export function jobRequestOf(inputs: readonly string[], flags: BulkFlags): JobRequest {
  const { text, textPair, id, keep, delimiter, template, query } = flags;
  const asked = {
    input: inputs.map(inputOf),
    output: isAddress(flags.out) ? flags.out : path.resolve(flags.out),
    ...{ model: flags.model, text, text_pair: textPair, id, query },
    task: word('--task', flags.task, JOB_TASKS),
    keep: keep?.split(',').map((name) => name.trim()),
    delimiter: delimiter === '\\t' ? '\t' : delimiter,
    format: word('--format', flags.format, FILE_FORMATS),
    compression: word('--compress', flags.compress, COMPRESSIONS),
    input_format: word('--input-format', flags.inputFormat, FILE_FORMATS),
    all_scores: flags.allScores,
    top_k: whole('--top-k', flags.topK),
    threshold: part('--threshold', flags.threshold),
    function: word('--function', flags.function, ['softmax', 'sigmoid', 'none']),
    candidate_labels: flags.label,
    hypothesis_template: template,
    multi_label: flags.multiLabel,
    aggregation_strategy: word('--aggregation', flags.aggregation, AGGREGATIONS),
    max_errors: whole('--max-errors', flags.maxErrors),
    shard_rows: whole('--shard-rows', flags.shardRows),
  };
  return withoutUndefined(asked);
}

const AGGREGATIONS = ['none', 'simple', 'first', 'average', 'max'] as const;

/**
 * An address as it is; a path of this machine, absolute. A glob that ends with `/` is one of folders.
 *
 * Wildcards in the name of the current folder are none: there, a path that is not a pattern is written as one that names it alone.
 */
function inputOf(place: string): string {
  if (isAddress(place)) return place;
  const ending = /[*?[{].*\/$/.test(place) ? '/' : '';
  const [folder, written] = [process.cwd(), path.resolve(place)];
  const isPlain = literally(folder) === folder || path.isAbsolute(place);
  if (isPlain) return `${written}${ending}`;
  return existsSync(written)
    ? literally(written)
    : `${path.resolve(literally(folder), place)}${ending}`;
}

function isAddress(place: string): boolean {
  return /^[a-z][a-z0-9+.-]*:\/\//i.test(place);
}

function word<const W extends string>(
  flag: string,
  value: string | undefined,
  words: readonly W[],
): W | undefined {
  if (value === undefined) return undefined;
  const found = words.find((each) => each === value);
  if (found === undefined) throw new SettingError(`${flag} ${value}: one of ${words.join(', ')}`);
  return found;
}

function whole(flag: string, value: string | undefined): number | undefined {
  if (value === undefined) return undefined;
  if (!/^\d{1,9}$/.test(value)) throw new SettingError(`${flag} ${value}: a whole number`);
  return Number(value);
}

function part(flag: string, value: string | undefined): number | undefined {
  if (value === undefined) return undefined;
  const number = /^\d(\.\d+)?$/.test(value) ? Number(value) : Number.NaN;
  if (!(number >= 0 && number <= 1)) throw new SettingError(`${flag} ${value}: from 0 to 1`);
  return number;
}

/** The same without what was not given: a job is a function of what it was asked for. */
function withoutUndefined<T extends object>(of: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return JSON.parse(JSON.stringify(of));
}
