/** What the chart is rendered with, and what is read of what comes out. */

export type Values = Readonly<Record<string, unknown>>;

const FLEET_SECRET = {
  existing: 'given',
  entries: ['keys', 'database-url', 'redis-url', 'jobs-url', 'cache-secret'],
};

/** Kinds of set-ups; everything that the chart can make is in one of them. */
export const VALUES: Readonly<Record<string, Values>> = {
  'the defaults': {},
  'one server on a claim': {
    data: { kind: 'claim', claim: 'disk' },
    modelsClaim: 'models',
    settings: { 'session.max_users': 16, 'memory.load_line': '75%', 'records.keep_text': true },
    doors: { settings: { 'log.level': 'debug' } },
    secret: { values: { keys: 'ops manage U7mP0cT1Yt0mWq4nE8s5ZrVbX2dLhKfA' } },
  },
  'a server that anyone may use': {
    secret: { entries: [] },
    settings: { 'http.open': 'anyone-may-use-and-manage-this-server' },
    serviceAccount: { create: false },
    doors: { disruptionBudget: { enabled: false } },
  },
  'a fleet': {
    secret: FLEET_SECRET,
    doors: { replicas: 3, disruptionBudget: { enabled: true, maxUnavailable: '34%' } },
    workers: { enabled: true, replicas: 2, settings: { 'jobs.at_once': 1 } },
    shutdown: { drainMs: 12_345, graceMs: 20_001 },
  },
  'a fleet that scales, watched and fenced': {
    image: {
      repository: 'registry.example.org/team/plimsoll',
      digest: `sha256:${'0123456789abcdef'.repeat(4)}`,
    },
    imagePullSecrets: [{ name: 'pull' }],
    secret: FLEET_SECRET,
    hubModels: ['org/model', 'org/other@v2'],
    data: { kind: 'ephemeral', size: '20Gi', storageClass: 'fast' },
    doors: { autoscaling: { enabled: true } },
    workers: { enabled: true, keda: { enabled: true } },
    networkPolicy: {
      enabled: true,
      ingress: [{ namespaceSelector: { matchLabels: { team: 'mail' } } }],
      egress: [{ to: [{ ipBlock: { cidr: '10.0.0.0/8' } }] }],
    },
    serviceMonitor: { enabled: true, keySecret: { name: 'scraper', key: 'token' } },
    prometheusRule: { enabled: true },
    dashboard: { enabled: true },
    podAnnotations: { 'example.org/owner': 'mail' },
    podLabels: { 'example.org/tier': 'front' },
    nodeSelector: { 'kubernetes.io/arch': 'amd64' },
    tolerations: [{ key: 'cpu', operator: 'Exists' }],
    affinity: { nodeAffinity: {} },
    priorityClassName: 'high',
    extraEnv: [{ name: 'HF_TOKEN', valueFrom: { secretKeyRef: { name: 'hub', key: 'token' } } }],
  },
};

interface Probe {
  readonly httpGet: { readonly path: string; readonly port: string };
}

interface Container {
  readonly ports: readonly { readonly name: string; readonly containerPort: number }[];
  readonly env: readonly { readonly name: string; readonly value?: string }[];
  readonly envFrom: readonly { readonly configMapRef: { readonly name: string } }[];
  readonly securityContext: object;
  readonly resources: { readonly limits: object };
  readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string }[];
  readonly startupProbe: Probe;
  readonly readinessProbe: Probe;
  readonly livenessProbe: Probe;
}

interface SecretVolume {
  readonly secretName: string;
  readonly items: readonly { readonly key: string }[];
}

export interface Pod {
  readonly metadata: {
    readonly labels: Readonly<Record<string, string>>;
    readonly annotations: Readonly<Record<string, string>>;
  };
  readonly spec: {
    readonly terminationGracePeriodSeconds: number;
    readonly automountServiceAccountToken: boolean;
    readonly enableServiceLinks: boolean;
    readonly securityContext: object;
    readonly containers: readonly Container[];
    readonly volumes: readonly { readonly name: string; readonly secret?: SecretVolume }[];
  };
}

/** A document of the chart, as far as the tests look into it. */
export interface Manifest {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly labels: Readonly<Record<string, string>> };
  readonly data?: Readonly<Record<string, string>>;
  readonly stringData?: Readonly<Record<string, string>>;
  readonly spec?: {
    readonly template?: Pod;
    readonly selector?: Readonly<Record<string, unknown>>;
    readonly scaleTargetRef?: { readonly kind: string; readonly name: string };
  };
}

export interface Rendered {
  readonly file: string;
  readonly document?: Manifest;
  readonly notes?: string;
}

export function podsOf(manifests: readonly Manifest[]): readonly Pod[] {
  return manifests.flatMap(({ spec }) => spec?.template ?? []);
}

/** The variables of a pod's server; those that only the cluster knows are left out, but for the pod's name. */
export function environmentOf(
  { spec }: Pod,
  manifests: readonly Manifest[],
): Readonly<Record<string, string>> {
  const [container] = spec.containers;
  const maps = (container?.envFrom ?? []).map(({ configMapRef }) =>
    manifests.find(
      ({ kind, metadata }) => kind === 'ConfigMap' && metadata.name === configMapRef.name,
    ),
  );
  const own = (container?.env ?? []).map(({ name, value }) => [name, value ?? 'from the cluster']);
  return Object.assign({}, ...maps.map((map) => map?.data), Object.fromEntries(own));
}

/** How many of the pods a Deployment, Service or budget selects; undefined where it has no selector of pods. */
export function selects({ kind, spec }: Manifest, pods: readonly Pod[]): number | undefined {
  if (!['Deployment', 'Service', 'PodDisruptionBudget'].includes(kind)) return undefined;
  const selector = kind === 'Service' ? spec?.selector : spec?.selector?.matchLabels;
  const wanted = Object.entries(selector ?? {});
  return pods.filter(({ metadata: { labels } }) =>
    wanted.every(([key, value]) => labels[key] === value),
  ).length;
}
