import { type LoadSummary, load } from '@spillway/testkit'

/** What the load can do to the app, besides asking. */
export interface Target {
  readonly origin: string
  /** Keys that the app knows; each is a client of its own. */
  readonly apiKeys: readonly string[]
  /** SIGKILL to one worker, as the OOM killer would. */
  killWorker(): void
  /** Replaces every worker, one after the other. */
  reload(): Promise<unknown>
}

interface Scene {
  readonly title: string
  readonly shows: string
  play(target: Target): Promise<readonly Row[]>
}

type Row = readonly [what: string, summary: LoadSummary]

const SECONDS = 3
const PREFIXES = [...'abcdefghijklmnoprstuvwz'].flatMap((a) => [...'aeiourlnst'].map((b) => `${a}${b}`))
const headers = (target: Target, client: number) => ({
  'x-api-key': target.apiKeys[client % target.apiKeys.length]!,
})

/** Four clients, each with its own key. */
async function together(
  target: Target,
  options: { path: (n: number) => string; rps?: number },
): Promise<LoadSummary> {
  const clients = await Promise.all(
    [0, 1, 2, 3].map((client) =>
      load({
        url: target.origin,
        connections: 4,
        durationMs: SECONDS * 1_000,
        headers: headers(target, client),
        path: (n) => options.path(n * 4 + client),
        ...(options.rps === undefined ? {} : { rps: options.rps / 4 }),
      }),
    ),
  )
  return clients.reduce(add)
}

const SCENES: readonly Scene[] = [
  {
    title: 'every search is new',
    shows: '@spillway/mysql: the pool',
    async play(target) {
      const path = (n: number) =>
        `/cities?q=${PREFIXES[n % PREFIXES.length]}&limit=${1 + (Math.floor(n / PREFIXES.length) % 50)}`
      return [['searches', await together(target, { path })]]
    },
  },
  {
    title: 'the same twenty searches',
    shows: '@spillway/cache: answered from memory',
    async play(target) {
      return [['searches', await together(target, { path: (n) => `/cities?q=${PREFIXES[n % 20]}` })]]
    },
  },
  {
    title: 'heavy arithmetic beside light searches',
    shows: '@spillway/offload: threads keep the event loop free',
    async play(target) {
      const heavy = load({
        url: target.origin,
        connections: 4,
        durationMs: SECONDS * 1_000,
        headers: headers(target, 4),
        path: (n) => `/report?country=${['DE', 'FR', 'IT', 'US'][n % 4]}&groups=${8 + (n % 20)}`,
        timeoutMs: 30_000,
      })
      const light = together(target, { path: (n) => `/cities?q=${PREFIXES[n % 20]}`, rps: 200 })
      return [
        ['searches', await light],
        ['reports', await heavy],
      ]
    },
  },
  {
    title: 'one greedy client',
    shows: '@spillway/limiter: one limit over all workers',
    async play(target) {
      const greedy = load({
        url: target.origin,
        connections: 16,
        durationMs: SECONDS * 1_000,
        headers: headers(target, 5),
        path: () => '/cities?q=be',
      })
      const polite = load({
        url: target.origin,
        connections: 1,
        durationMs: SECONDS * 1_000,
        rps: 5,
        headers: headers(target, 6),
        path: () => '/cities?q=be',
      })
      return [
        ['greedy', await greedy],
        ['polite', await polite],
      ]
    },
  },
  {
    title: 'a worker is killed',
    shows: '@spillway/cluster: the others go on, it is replaced',
    async play(target) {
      const asked = together(target, { path: (n) => `/cities?q=${PREFIXES[n % 20]}`, rps: 200 })
      setTimeout(() => target.killWorker(), 1_000)
      return [['searches', await asked]]
    },
  },
  {
    title: 'a new version is rolled out',
    shows: '@spillway/cluster: no request fails',
    async play(target) {
      const asked = together(target, { path: (n) => `/cities?q=${PREFIXES[n % 20]}`, rps: 200 })
      await target.reload()
      return [['searches', await asked]]
    },
  },
]

/** Plays every scene, one after the other, and prints what happened. */
export async function playLoad(target: Target, print: (line: string) => void): Promise<void> {
  print(
    `\nLoad: ${SCENES.length} scenes of ${SECONDS} s. Figures are of this machine, with the load on the same one.\n`,
  )
  for (const { title, shows, play } of SCENES) {
    print(`${title} (${shows})`)
    for (const [what, summary] of await play(target)) print(`  ${what.padEnd(10)}${describe(summary)}`)
  }
  print('')
}

function describe({ rps, latency, statuses, errors }: LoadSummary): string {
  const counts = [...Object.entries(statuses), ...Object.entries(errors)].map(
    ([key, count]) => `${count} x ${key}`,
  )
  return `${Math.round(rps)} /s, p50 ${latency.p50.toFixed(1)} ms, p99 ${latency.p99.toFixed(1)} ms: ${counts.join(', ')}`
}

/** The latencies of two clients that ran at the same time: the worse of each. */
function add(a: LoadSummary, b: LoadSummary): LoadSummary {
  const worse = (name: keyof LoadSummary['latency']) => Math.max(a.latency[name], b.latency[name])
  return {
    ...a,
    requests: a.requests + b.requests,
    ok: a.ok + b.ok,
    failed: a.failed + b.failed,
    rps: a.rps + b.rps,
    statuses: sum(a.statuses, b.statuses),
    errors: sum(a.errors, b.errors),
    latency: { p50: worse('p50'), p99: worse('p99'), max: worse('max'), mean: worse('mean') },
  }
}

function sum(
  a: Readonly<Record<string, number>>,
  b: Readonly<Record<string, number>>,
): Record<string, number> {
  const total: Record<string, number> = { ...a }
  for (const [key, count] of Object.entries(b)) total[key] = (total[key] ?? 0) + count
  return total
}
