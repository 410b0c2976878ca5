import diagnosticsChannel from 'node:diagnostics_channel'
import { Counter, Histogram, type Registry } from 'prom-client'

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

/** Those that are not: `stats()` counts them already, and on a hot path a message costs more than a number. */
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
 * `spillway_<package>_<event>_seconds`. Returns what ends it.
 */
export function countEvents(registry: Registry): () => void {
  const stops = Object.entries(EVENTS).map(([channel, rule]) => {
    const observe = observer(channel, rule, registry)
    diagnosticsChannel.subscribe(channel, observe)
    return () => diagnosticsChannel.unsubscribe(channel, observe)
  })
  return () => {
    for (const stop of stops) stop()
  }
}

function observer(channel: string, { labels = [], duration }: EventRule, registry: Registry) {
  const [, pkg, event] = channel.split(':')
  const labelNames = [...labels]
  const valuesOf = (message: unknown): Record<string, string> =>
    Object.fromEntries(labels.map((label) => [label, String((message as Record<string, unknown>)[label])]))
  const base = `spillway_${pkg}_${event?.replaceAll('-', '_')}`
  const registers = [registry]
  if (duration === undefined) {
    const counter = new Counter({
      name: `${base}_events_total`,
      help: `Messages on ${channel}`,
      labelNames,
      registers,
    })
    return (message: unknown): void => counter.inc(valuesOf(message))
  }
  const help = `${duration} of the messages on ${channel}`
  const histogram = new Histogram({ name: `${base}_seconds`, help, labelNames, buckets: SECONDS, registers })
  return (message: unknown): void => {
    const milliseconds = Number((message as Record<string, unknown>)[duration])
    if (Number.isFinite(milliseconds)) histogram.observe(valuesOf(message), milliseconds / 1_000)
  }
}
