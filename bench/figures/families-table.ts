/** The table of families in docs/models.md, from the kept result of the benchmark `families`. Pure. */
import type { ShownVerdict } from '../../src/contract/models.js';
import type { Result } from '../harness/report.js';
import { table } from './lines.js';

/** What the benchmark keeps of a family, in its details. */
interface FamilyDetails {
  readonly name: string;
  readonly difference: number;
  readonly form: string | null;
  readonly mapped_mb: number | null;
  readonly private_mb: number | null;
  readonly verdict: ShownVerdict | null;
}

/** The lines between the marks; a sentence where nothing was measured yet. */
export function familiesTable(results: readonly Result[]): readonly string[] {
  const result = results.find(({ name }) => name === 'families');
  const families = (result?.details as { families?: readonly FamilyDetails[] } | undefined)
    ?.families;
  if (families === undefined) return ['Not measured yet: `npm run bench -- families`.'];
  return table(
    [
      'family, in the size of its base model',
      'read from',
      'fp32: largest difference of a score',
      'integers: same labels',
      'speed-up, one row and batch',
      'served as',
      'mapped MB',
      'private MB',
    ],
    families.map(rowOf),
  );
}

function rowOf({ name, difference, form, mapped_mb, private_mb, verdict }: FamilyDetails) {
  const tried =
    verdict?.candidates.find((candidate) => candidate.form === form) ?? verdict?.candidates[0];
  const factor = (value: number | undefined) =>
    value === undefined ? 'not tried' : `${value.toFixed(2)} ×`;
  return [
    name,
    'safetensors',
    difference.toExponential(0),
    tried?.labels_percent === undefined
      ? 'not tried'
      : `${tried.labels_percent.toFixed(1)} % (${tried.form})`,
    `${factor(tried?.one_row_speedup)}, ${factor(tried?.batch_speedup)}`,
    form ?? 'fp32',
    mapped_mb?.toFixed(0) ?? '–',
    private_mb?.toFixed(0) ?? '–',
  ];
}
