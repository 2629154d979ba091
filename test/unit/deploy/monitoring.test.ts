import { describe, expect, test } from 'vitest';
import { type GaugeSources, Metrics } from '../../../src/metrics/metrics.js';
import { judge, judged, python, textOf } from './judges.js';

/** Of Prometheus itself, or put on by whoever scrapes. */
const OTHERS_SERIES = ['up'];
const OTHERS_LABELS = ['instance', 'job', 'namespace', 'service', 'pod'];

const POOL = { name: 'database', open: 0, idle: 0, inUse: 0, waiting: 0, opened: 0, recycled: 0 };
const SOURCES = {
  memory: () => ({
    serverTotalBytes: 0,
    serverUsedBytes: 0,
    loadLineBytes: 0,
    pressure: 'normal',
    processes: [],
  }),
  waitingInputs: () => 0,
  openSessions: () => 0,
  usersSinceRecycle: () => 0,
  cache: () => ({ entries: 0, bytes: 0 }),
  redis: () => ({ state: 'closed', failures: 0, unreadable: 0, dropped: 0 }),
  records: () => ({
    bufferedRows: 0,
    spilledBytes: 0,
    written: 0,
    spilled: 0,
    lost: 0,
    database: '',
  }),
  loadedModels: () => 0,
  pools: () => [{ ...POOL, broken: 0, timeouts: 0, checkouts: 0, waitSeconds: 0 }],
} as const satisfies GaugeSources;

/** Every series of a server, with its labels. */
async function series(): Promise<ReadonlyMap<string, readonly string[]>> {
  const metrics = new Metrics();
  metrics.observe(SOURCES);
  metrics.observeLog(() => 0);
  metrics.jobs.observe({ backlogSeconds: async () => 0 });
  const found = new Map<string, readonly string[]>();
  for (const { name, type } of await metrics.registry.getMetricsAsJSON()) {
    const labels = labelNamesOf(metrics.registry.getSingleMetric(name));
    found.set(name, labels);
    if (`${type}` !== 'histogram') continue;
    for (const end of ['_sum', '_count']) found.set(`${name}${end}`, labels);
    found.set(`${name}_bucket`, [...labels, 'le']);
  }
  metrics.registry.clear();
  return found;
}

function labelNamesOf(metric: object | undefined): readonly string[] {
  const names: unknown = metric !== undefined && 'labelNames' in metric ? metric.labelNames : [];
  return Array.isArray(names) ? names.map(String) : [];
}

interface Panel {
  readonly id: number;
  readonly title: string;
  readonly type: string;
  readonly gridPos: {
    readonly x: number;
    readonly y: number;
    readonly w: number;
    readonly h: number;
  };
  readonly targets?: readonly { readonly expr: string; readonly legendFormat: string }[];
}

interface Dashboard {
  readonly uid: string;
  readonly panels: readonly Panel[];
  readonly templating: { readonly list: readonly { readonly definition?: string }[] };
}

interface Rules {
  readonly groups: readonly {
    readonly rules: readonly {
      readonly alert: string;
      readonly expr: string;
      readonly labels: { readonly severity: string };
      readonly annotations: { readonly summary: string; readonly description: string };
    }[];
  }[];
}

const dashboard = JSON.parse(textOf('deploy/grafana/plimsoll.json')) as Dashboard;
const drawn = dashboard.panels.flatMap(({ title, targets = [] }) =>
  targets.map(({ expr, legendFormat }) => ({ title, expr, legendFormat })),
);

/** Grafana fills its variables in before Prometheus sees an expression. */
function filled(expression: string): string {
  return expression.replaceAll('$__rate_interval', '5m').replaceAll('$instance', '.*');
}

/** What is wrong with expressions: their grammar, a series or a label that no server has. */
async function faults(of: readonly { readonly title: string; readonly expr: string }[]) {
  const known = await series();
  const tasks = of.map(({ expr }) => ({ do: 'promql' as const, expression: filled(expr) }));
  const answers = judge<readonly { name: string; labels: readonly string[] }[]>(tasks);
  return answers.flatMap((answer, index) => {
    const { title = '', expr = '' } = of[index] ?? {};
    if ('error' in answer) return [`${title}: ${answer.error}`];
    const grouped = [...expr.matchAll(/\b(?:by|ignoring) \(([^)]*)\)/g)].flatMap(([, list = '']) =>
      list.split(/\s*,\s*/),
    );
    const labels = answer.ok.flatMap(({ name }) => known.get(name) ?? []);
    const missing = answer.ok.filter(
      ({ name }) => !known.has(name) && !OTHERS_SERIES.includes(name),
    );
    const selected = answer.ok.flatMap((one) => one.labels.filter((label) => label !== '__name__'));
    const unknown = [...grouped, ...selected].filter(
      (label) => !labels.includes(label) && !OTHERS_LABELS.includes(label),
    );
    return [
      ...missing.map(({ name }) => `${title}: no server has ${name}`),
      ...unknown.map((label) => `${title}: nothing has the label ${label}`),
    ];
  });
}

describe.skipIf(python === undefined)('Prometheus understands', () => {
  test('every panel of the dashboard, whose series and labels the server has', async () => {
    expect(drawn.length).toBeGreaterThan(20);
    expect(await faults(drawn)).toEqual([]);
  });

  test('every alert, likewise', async () => {
    const rules = rulesOf();
    expect(rules.length).toBeGreaterThan(5);
    expect(await faults(rules.map(({ alert, expr }) => ({ title: alert, expr })))).toEqual([]);
    expect(new Set(rules.map(({ alert }) => alert)).size).toBe(rules.length);
    for (const { labels } of rules) expect(['critical', 'warning']).toContain(labels.severity);
  });

  test('and mistakes would be found', async () => {
    const wrong = [
      'rate(plimsoll_requests_totals[5m])',
      'sum by (stauts) (plimsoll_requests_total)',
      'plimsoll_requests_total{code="200"}',
      'sum(plimsoll_inputs_waiting',
    ];
    expect(await faults(wrong.map((expr) => ({ title: expr, expr })))).toHaveLength(wrong.length);
  });

  test('what KEDA asks for', async () => {
    const [, query = ''] =
      /printf "(max\(.*?)" \$/.exec(textOf('deploy/helm/plimsoll/templates/scaling.yaml')) ?? [];
    const expr = query.replaceAll('%q', '"mail"');
    expect(expr).toContain('plimsoll_jobs_backlog_seconds');
    expect(await faults([{ title: 'KEDA', expr }])).toEqual([]);
  });
});

function rulesOf() {
  const [rules] = judged<readonly Rules[]>({
    do: 'parse',
    text: textOf('deploy/grafana/alerts.yaml'),
  });
  return rules?.groups.flatMap((group) => group.rules) ?? [];
}

describe('the dashboard', () => {
  test('has panels of their own number, none over another', () => {
    const { panels } = dashboard;
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
    const cells = panels.flatMap(({ gridPos: { x, y, w, h } }) =>
      Array.from({ length: w * h }, (_, cell) => `${x + (cell % w)},${y + Math.floor(cell / w)}`),
    );
    expect(new Set(cells).size).toBe(cells.length);
    expect(Math.max(...panels.map(({ gridPos: { x, w } }) => x + w))).toBeLessThanOrEqual(24);
  });

  test('names in its legends only labels that its expressions keep', () => {
    const lost = drawn.flatMap(({ title, expr, legendFormat }) =>
      [...legendFormat.matchAll(/\{\{(\w+)\}\}/g)].flatMap(([, label = '']) => {
        const keeps = /^(?:sum|max|histogram_quantile)/.test(expr)
          ? new RegExp(`by \\([^)]*\\b${label}\\b`).test(expr)
          : true;
        return keeps ? [] : [`${title}: ${label}`];
      }),
    );
    expect(lost).toEqual([]);
  });
});
