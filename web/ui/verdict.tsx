import { count } from '../data/format.js';
import type { Verdict } from '../data/wire.js';

type Candidate = Verdict['candidates'][number];

/** What trying faster forms of a model has shown: each with its outcome, the reason, and how it agrees with fp32. */
export function VerdictView({ verdict }: { readonly verdict: Verdict }) {
  const { candidates, least_labels_percent: labels, most_shift: shift } = verdict;
  return (
    <div class="verdict-view">
      <p>
        {`${verdict.form} serves: ${verdict.reason}. Asked for: ${share(labels)} of labels as in fp32, no score off by more than ${shift}, at least ${verdict.least_speedup} × as fast.`}
      </p>
      <ul aria-label="Forms that were tried">
        {candidates.map((candidate) => (
          <li key={candidate.form}>
            <strong>{candidate.form}</strong>{' '}
            <span class={candidate.outcome === 'refused' ? 'bad' : ''}>{candidate.outcome}</span>:{' '}
            {candidate.reason}
            <small class="figures">{agreementOf(candidate)}</small>
          </li>
        ))}
      </ul>
    </div>
  );
}

/** `99.8 % of 480 labels as in fp32, largest shift 0.021, 2.1 × as fast for one row, 1.9 × for a batch` */
function agreementOf(of: Candidate): string {
  const rows = of.rows === undefined ? '' : `${count(of.rows)} `;
  const parts = [
    ...(of.labels_percent === undefined
      ? []
      : [`${share(of.labels_percent)} of ${rows}labels as in fp32`]),
    ...(of.shift === undefined ? [] : [`largest shift ${of.shift.toFixed(3)}`]),
    ...(of.neighbours === undefined ? [] : [`${of.neighbours.toFixed(3)} by the rows beside it`]),
    ...(of.one_row_speedup === undefined
      ? []
      : [`${of.one_row_speedup.toFixed(2)} × as fast for one row`]),
    ...(of.batch_speedup === undefined ? [] : [`${of.batch_speedup.toFixed(2)} × for a batch`]),
  ];
  return parts.join(', ');
}

function share(of: number): string {
  return `${of.toFixed(1)} %`;
}
