import diagnosticsChannel from 'node:diagnostics_channel'
import { Counter, Histogram, type Registry } from 'prom-client'
import type { DroppedCounter } from '../series/dropped-counter.js'
import { labelText } from '../series/label.js'
import { labelKey } from '../series/series.js'

/** How the messages of one channel are counted. */
interface EventRule {
  /** Fields of the message that become labels. */
  readonly labels?: readonly string[]
  /** A field in milliseconds that is worth a histogram. */
  readonly duration?: string
}

/** The channels whose messages are counted here. */
export const EVENTS: Readonly<Record<Channel, EventRule>> = {
  'spillway:cluster:ready': { duration: 'milliseconds' },
  'spillway:cluster:exit': { labels: ['cause'] },
  'spillway:cluster:hang': {},
  'spillway:cluster:degraded': {},
  'spillway:cluster:unborn': { labels: ['code'] },
  'spillway:cluster:missing': {},
  'spillway:cluster:reload': { labels: ['ok'], duration: 'milliseconds' },
  'spillway:cluster:scale': { labels: ['by'] },
  'spillway:cache:load': { labels: ['cache', 'ok'], duration: 'milliseconds' },
  'spillway:cache:stale': { labels: ['cache', 'reason'] },
  'spillway:cache:lease': { labels: ['cache', 'event'] },
  'spillway:cache:breaker': { labels: ['cache', 'open'] },
  'spillway:cache:gap': { labels: ['cache', 'healed'] },
  'spillway:cache:reject': { labels: ['cache', 'reason'] },
  'spillway:cache:fault': { labels: ['cache', 'where'] },
  'spillway:mysql:kill': { labels: ['pool', 'node', 'reason', 'how'] },
  'spillway:mysql:retry': { labels: ['pool', 'what', 'reason'] },
  'spillway:mysql:failover': { labels: ['pool', 'node', 'to'] },
  'spillway:limiter:denied': { labels: ['limit', 'source'] },
  'spillway:limiter:concurrency': { labels: ['reason'] },
  'spillway:limiter:store': { labels: ['store', 'up'] },
  'spillway:offload:refuse': { labels: ['task', 'code'] },
  'spillway:offload:thread': { labels: ['event', 'reason'] },
  'spillway:memory:level': { labels: ['level'] },
  'spillway:memory:replace': { labels: ['reason'] },
  'spillway:memory:leak': { labels: ['kind', 'state'] },
  'spillway:memory:snapshot': { labels: ['reason'], duration: 'milliseconds' },
}

/** The channels that are not counted: `stats()` counts the same, and on a hot path a message costs more than a number. */
export const COUNTED_BY_STATS: readonly Channel[] = [
  'spillway:cluster:fork',
  'spillway:cache:hit',
  'spillway:cache:miss',
  'spillway:cache:invalidate',
  'spillway:mysql:acquire',
  'spillway:mysql:query',
  'spillway:mysql:slow',
  'spillway:offload:run',
]

type Channel = `spillway:${string}:${string}`

const SECONDS = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]

/**
 * Counts what the other packages publish, as `spillway_<package>_<event>_events_total` and, where it takes time,
 * `spillway_<package>_<event>_seconds`. Returns a function that ends it.
 */
export function countEvents(registry: Registry, dropped: DroppedCounter): () => void {
  const stops = Object.entries(EVENTS).map(([channel, rule]) => {
    const observe = observer(channel, rule, registry, dropped)
    diagnosticsChannel.subscribe(channel, observe)
    return () => diagnosticsChannel.unsubscribe(channel, observe)
  })
  return () => {
    for (const stop of stops) stop()
  }
}

/** Limit of the series of one channel. The labels of our messages are words out of small sets. */
const MOST_SERIES = 500

function observer(
  channel: string,
  { labels = [], duration }: EventRule,
  registry: Registry,
  dropped: DroppedCounter,
) {
  const [, pkg, event] = channel.split(':')
  const base = `spillway_${pkg}_${event?.replaceAll('-', '_')}`
  const name = duration === undefined ? `${base}_events_total` : `${base}_seconds`
  const help = duration === undefined ? `Messages on ${channel}` : `${duration} of the messages on ${channel}`
  const config = { name, help, labelNames: [...labels], registers: [registry] }
  const known = new Set<string>()
  const count = duration === undefined ? new Counter(config) : new Histogram({ ...config, buckets: SECONDS })
  return (message: unknown): void => {
    const fields = Object(message) as Record<string, unknown>
    const values = Object.fromEntries(labels.map((label) => [label, labelText(String(fields[label]))]))
    const key = labelKey(values)
    if (!known.has(key) && known.size >= MOST_SERIES) {
      dropped.note(name)
      return
    }
    known.add(key)
    if (count instanceof Counter) count.inc(values)
    else {
      const milliseconds = Number(fields[duration!])
      if (Number.isFinite(milliseconds)) count.observe(values, milliseconds / 1_000)
    }
  }
}
