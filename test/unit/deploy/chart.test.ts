import { beforeAll, describe, expect, test } from 'vitest';
import { judge, judged, placeOf, python, refusals, type Task, textOf } from './judges.js';
import {
  environmentOf,
  type Manifest,
  podsOf,
  type Rendered,
  selects,
  VALUES,
  type Values,
} from './manifests.js';
import { MadeSecrets } from './settings.js';

const CHART = placeOf('deploy/helm/plimsoll');
/** The oldest that Chart.yaml names, one between, and the newest whose schemas are known. */
const VERSIONS = ['1.27', '1.32', '1.37'];
/** The models of the operators are a megabyte of Python each, which takes seconds to read. */
const JUDGES_MS = 120_000;
const CUSTOM = ['ScaledObject', 'ServiceMonitor', 'PrometheusRule'];

function rendering(values: Values, name = 'mail'): Task {
  return { do: 'render', chart: CHART, values, name, namespace: 'classify' };
}

function render(values: Values, name?: string): readonly Manifest[] {
  return judged<readonly Rendered[]>(rendering(values, name)).flatMap(
    ({ document }) => document ?? [],
  );
}

describe.skipIf(python === undefined)('the Helm chart', () => {
  const secrets = new MadeSecrets();
  beforeAll(() => {
    secrets.make();
    return () => secrets.remove();
  });

  test('has nothing that `helm lint --strict` finds fault with', () => {
    const { errors, messages } = judged<{
      readonly errors: readonly string[];
      readonly messages: readonly { readonly severity: number; readonly error: string }[];
    }>({ do: 'lint', chart: CHART, values: {} });
    expect(errors).toEqual([]);
    expect(messages.map(({ error }) => error)).toEqual(['icon is recommended']);
  });

  describe.each(Object.entries(VALUES))('with the values of %s', (_name, values) => {
    let manifests: readonly Manifest[];
    beforeAll(() => {
      manifests = render(values);
    });

    test(
      'is as the schemas of Kubernetes and of the operators have it',
      () => {
        const tasks = manifests.flatMap((document): Task[] =>
          CUSTOM.includes(document.kind)
            ? [{ do: 'custom', document }]
            : VERSIONS.map((version) => ({ do: 'kubernetes', document, version })),
        );
        expect(refusals(tasks)).toEqual([]);
      },
      JUDGES_MS,
    );

    test('gives every server settings that it accepts, and time to end', () => {
      for (const pod of podsOf(manifests)) {
        const config = secrets.read(environmentOf(pod, manifests), '/run/plimsoll');
        const longestMs = config['shutdown.drain_ms'] + config['shutdown.grace_ms'];
        expect(pod.spec.terminationGracePeriodSeconds * 1000).toBeGreaterThan(longestMs);
        const [container] = pod.spec.containers;
        // The image names the folder, the chart mounts it.
        const [, data = ''] =
          /PLIMSOLL_DATA=(\S+)/.exec(textOf('deploy/container/Dockerfile')) ?? [];
        const mounts = container?.volumeMounts.filter(({ name }) => name === 'data');
        expect(mounts).toMatchObject([{ mountPath: data }]);
        expect(container?.ports[0]?.containerPort).toBe(config['http.port']);
      }
    });

    test('runs servers that may do little, with bounds that they read', () => {
      for (const { spec } of podsOf(manifests)) {
        expect(spec.securityContext).toMatchObject({
          runAsNonRoot: true,
          runAsUser: 1000,
          seccompProfile: { type: 'RuntimeDefault' },
        });
        expect(spec.automountServiceAccountToken).toBe(false);
        expect(spec.enableServiceLinks).toBe(false);
        for (const { securityContext, resources, volumeMounts } of spec.containers) {
          expect(securityContext).toEqual({
            allowPrivilegeEscalation: false,
            readOnlyRootFilesystem: true,
            capabilities: { drop: ['ALL'] },
          });
          expect(Object.keys(resources.limits).toSorted()).toEqual(['cpu', 'memory']);
          const volumes = spec.volumes.map(({ name }) => name);
          expect(volumeMounts.map(({ name }) => name).toSorted()).toEqual(volumes.toSorted());
        }
        expect(JSON.stringify(spec.volumes)).not.toContain('"medium"');
      }
    });

    test('asks probes that the server answers, at its port', () => {
      const routes = textOf('src/http/service-routes.ts');
      for (const { spec } of podsOf(manifests)) {
        for (const { startupProbe, readinessProbe, livenessProbe, ports } of spec.containers) {
          for (const { httpGet } of [startupProbe, readinessProbe, livenessProbe]) {
            expect(routes).toContain(`url: '${httpGet.path}'`);
            expect(ports.map(({ name }) => name)).toContain(httpGet.port);
          }
          expect(readinessProbe.httpGet.path).toBe('/health/ready');
          expect(livenessProbe.httpGet.path).toBe('/health/live');
        }
      }
    });

    test('names things once, and everything named is there', () => {
      const names = manifests.map(({ kind, metadata: { name } }) => `${kind} ${name}`);
      expect(new Set(names).size).toBe(names.length);
      for (const { spec } of manifests) {
        const { scaleTargetRef: target } = spec ?? {};
        if (target !== undefined) expect(names).toContain(`${target.kind} ${target.name}`);
      }
      for (const pod of podsOf(manifests)) {
        for (const { envFrom } of pod.spec.containers) {
          for (const { configMapRef } of envFrom) {
            expect(names).toContain(`ConfigMap ${configMapRef.name}`);
          }
        }
        const secret = pod.spec.volumes.find((volume) => volume.secret !== undefined)?.secret;
        if (secret === undefined || secret.secretName === 'given') continue;
        expect(names).toContain(`Secret ${secret.secretName}`);
        const made = manifests.find(({ kind }) => kind === 'Secret')?.stringData ?? {};
        expect(Object.keys(made).toSorted()).toEqual(secret.items.map(({ key }) => key).toSorted());
      }
    });

    test('every selector selects the pods of one Deployment', () => {
      for (const manifest of manifests) {
        const selected = selects(manifest, podsOf(manifests));
        if (selected === undefined) continue;
        expect(selected, `${manifest.kind} ${manifest.metadata.name}`).toBe(1);
      }
    });
  });

  test('makes a key that the server takes, another one for each release', async () => {
    const { parseKeyFile } = await import('../../../src/keys/key-file.js');
    const made = [render({}), render({})].map(
      (manifests) => manifests.find(({ kind }) => kind === 'Secret')?.stringData?.keys ?? '',
    );
    for (const keys of made) {
      expect(parseKeyFile(keys)).toMatchObject([{ name: 'ops', scopes: ['manage'] }]);
    }
    expect(new Set(made).size).toBe(2);
  });

  test('a release called plimsoll does not have the name twice', () => {
    const names = render({}, 'plimsoll').map(({ metadata }) => metadata.name);
    expect(new Set(names)).toEqual(new Set(['plimsoll']));
  });

  test('changed settings replace the pods', () => {
    const sums = [{}, { settings: { 'session.max_users': 9 } }].map((values) =>
      podsOf(render(values)).map(({ metadata }) => metadata.annotations['checksum/settings']),
    );
    expect(sums[0]).not.toEqual(sums[1]);
  });

  test('gives large numbers digit by digit, as settings are read', () => {
    // Helm reads numbers of YAML as floats, and prints those from a million on as 1.8e+06.
    const [values] = judged<readonly Values[]>({
      do: 'parse',
      text: [
        'settings: {request.max_answer_scores: 1800000, memory.load_line: 0.75}',
        'doors: {settings: {jobs.backoff_ms: 600000, session.max_users: 7, records.keep: 1000000}}',
      ].join('\n'),
    });
    const manifests = render(values ?? {});
    const [pod] = podsOf(manifests);
    expect(pod && environmentOf(pod, manifests)).toMatchObject({
      PLIMSOLL_REQUEST_MAX_ANSWER_SCORES: '1800000',
      PLIMSOLL_MEMORY_LOAD_LINE: '0.75',
      PLIMSOLL_JOBS_BACKOFF_MS: '600000',
      PLIMSOLL_SESSION_MAX_USERS: '7',
      PLIMSOLL_RECORDS_KEEP: '1000000',
    });
  });

  test.each<readonly [string, Values, RegExp]>([
    ['no key', { secret: { entries: [] } }, /there is no key/],
    ['two servers that share nothing', { doors: { replicas: 2 } }, /add "database-url"/],
    [
      'workers without Redis',
      {
        workers: { enabled: true },
        secret: { existing: 'given', entries: ['keys', 'database-url'] },
      },
      /add "redis-url"/,
    ],
    ['a claim without a name', { data: { kind: 'claim' } }, /data\.claim/],
    [
      'one claim for several',
      {
        ...VALUES['a fleet'],
        data: { kind: 'claim', claim: 'disk' },
      },
      /for one server/,
    ],
    ['an entry without a value', { secret: { entries: ['keys', 'redis-url'] } }, /"redis-url"/],
    ['a setting of the chart', { settings: { 'server.role': 'door' } }, /sets server\.role itself/],
    ['a secret among the settings', { settings: { 'redis.url': 'redis://x' } }, /is a secret/],
    ['an unknown value', { replicas: 2 }, /replicas/],
    ['a deeper unknown value', { workers: { keda: { threshold: 2 } } }, /threshold/],
    ['a value of another type', { shutdown: { drainMs: '5s' } }, /drainMs/],
    ['data in memory', { data: { kind: 'memory' } }, /kind/],
    ['an unknown secret', { secret: { entries: ['keys', 'redis'] } }, /entries/],
    ['a path for a model', { hubModels: ['bert'] }, /hubModels/],
  ])('refuses %s, and says why', (_what, values, reason) => {
    const [refusal] = refusals([rendering(values)]);
    expect(refusal).toMatch(reason);
  });

  test('has a schema for every value, and a value for every schema', () => {
    const [values] = judged<readonly object[]>({
      do: 'parse',
      text: textOf('deploy/helm/plimsoll/values.yaml'),
    });
    const schema = JSON.parse(textOf('deploy/helm/plimsoll/values.schema.json')) as Schema;
    // `global` is Helm's own; entries and settings are the user's.
    const free = ['global', 'secret.values'];
    expect(pathsOf(values ?? {}).toSorted()).toEqual(
      schemaPathsOf(schema)
        .filter((path) => !free.some((of) => path.startsWith(of)))
        .toSorted(),
    );
  });

  test('says in its notes what is there to do', () => {
    const notes = (values: Values) =>
      judge<readonly Rendered[]>([rendering(values)]).flatMap((answer) =>
        'ok' in answer ? answer.ok.flatMap((of) => of.notes ?? []) : [],
      )[0];
    expect(notes({})).toMatch(/get secret mail-plimsoll .*base64 -d/);
    expect(notes({})).toMatch(/go with the pod/);
    expect(notes(VALUES['a fleet'] ?? {})).not.toMatch(/get secret|go with the pod/);
  });
});

interface Schema {
  readonly properties?: Readonly<Record<string, Schema>>;
}

/** `workers.keda.enabled`: the values that are no objects, or objects of the user's. */
function pathsOf(values: object): readonly string[] {
  return Object.entries(values).flatMap(([key, value]: [string, unknown]) => {
    const isOpen = OPEN.test(key) || typeof value !== 'object' || value === null;
    if (isOpen || Array.isArray(value) || key === 'values') return key === 'values' ? [] : [key];
    return pathsOf(value).map((below) => `${key}.${below}`);
  });
}

/** Objects whose keys are the user's. */
const OPEN =
  /^(settings|resources|annotations|labels|podAnnotations|podLabels|nodeSelector|affinity)$/;

function schemaPathsOf({ properties = {} }: Schema): readonly string[] {
  return Object.entries(properties).flatMap(([key, below]) =>
    below.properties === undefined ? [key] : schemaPathsOf(below).map((path) => `${key}.${path}`),
  );
}
