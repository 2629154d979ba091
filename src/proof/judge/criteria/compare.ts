/** The criterion on regressions against an earlier report. Pure. */

import { kb, mb, percent } from '../../format.js';
import type { Comparison } from '../comparison.js';
import type { Criterion } from './criterion.js';
import { THRESHOLDS } from './thresholds.js';

export function notRegressed({ rows, earlier }: Comparison): Criterion {
  const judged = rows.filter((row) => row.allowed !== null);
  const worse = judged.filter((row) => row.low !== null && row.low > (row.allowed ?? Infinity));
  const open = judged.filter((row) => row.low === null);
  const words = judged.map((row) => {
    const unit = row.unit === 'kb' ? kb : mb;
    const interval =
      row.low === null ? 'too few values' : `interval ${unit(row.low)} to ${unit(row.high)}`;
    return `${row.figure} ${unit(row.difference)} more, ${interval}, ${unit(row.allowed)} allowed`;
  });
  return {
    id: 'regression',
    claim: 'Memory has not grown since the earlier report',
    how_tested: `The earlier report's sessions against this run's: median of all pairwise differences (Hodges–Lehmann) with its 95 % interval. Allowed is ${percent(THRESHOLDS.regressionPercent)} of the earlier median, at least ${mb(THRESHOLDS.regressionMb)}; it does not hold when a whole interval lies above that.`,
    threshold: `no figure worse than the report of ${earlier.started_at.slice(0, 10)} by more than is allowed`,
    value: words.join('; ') || 'nothing to compare',
    held: worse.length > 0 ? false : judged.length === 0 || open.length > 0 ? 'cannot tell' : true,
    may_stay_open: false,
  };
}
