import type { ConstructorGrowth, SnapshotDiff } from '../heap/snapshot-diff.js'
import type { Leak } from '../leak/leak.js'
import type { MemoryReport } from '../report.js'

/** What grew by less than this share of what grew most is left out. */
const LEAST_SHARE = 0.005

/** The report for people: a headline, the numbers, and for each leak what grows, how fast, from where, held by whom. */
export function reportText(report: MemoryReport): string {
  const { stats } = report
  const { sample } = stats
  const lines = [
    headline(report),
    '',
    `process     ${report.pid}, Node ${report.node}, up ${span(report.uptime * 1_000)}, ${report.at}`,
    `limit       ${size(sample.memory.used)} of ${size(sample.memory.limit)} in use (${sample.memory.source})`,
    `heap        ${size(sample.heapLive)} alive, ${size(sample.heapUsed)} used, of ${size(sample.heapLimit)}`,
    `outside     ${size(sample.external)} external, of it ${size(sample.arrayBuffers)} in Buffers; ${size(sample.native)} native`,
    `resident    ${size(sample.rss)}`,
    `loop        p99 ${Math.round(sample.loop.p99)} ms late, ${percent(sample.loop.utilization)} busy`,
    `collections ${Object.entries(stats.collections)
      .map(
        ([kind, { count, pause, longest }]) =>
          `${kind} ${count} (${pause.toFixed(0)} ms, longest ${longest.toFixed(1)})`,
      )
      .join(', ')}`,
    `requests    ${stats.requests} counted, ${stats.refused} refused`,
    `resources   ${list(report.resources)}`,
    `listeners   ${list(report.listeners)}`,
  ]
  for (const { signal, level, value, limit, unit, source } of stats.reasons) {
    const [have, most] = unit === 'bytes' ? [size(value), size(limit)] : [round(value), round(limit)]
    lines.push(
      `${level.padEnd(11)} ${signal}: ${have} of ${most} ${unit === 'bytes' ? '' : unit} (${source})`,
    )
  }
  for (const leak of report.leaks) lines.push('', ...leakLines(leak))
  return `${lines.join('\n')}\n`
}

export function headline({ stats, leaks }: MemoryReport): string {
  const confirmed = leaks.filter(({ state }) => state === 'confirmed')
  if (confirmed.length > 0) return `LEAK: ${confirmed.map(verdictLine).join('; ')}`
  if (leaks.length > 0) return `Perhaps a leak: ${leaks.map(verdictLine).join('; ')}`
  return stats.level === 'ok' ? 'All is well: nothing is short and nothing grows' : `Level: ${stats.level}`
}

/** `heap grows by 12.0 MB per hour (198 B per request), confidence 99.2 %, limit in 3.2 h`. */
export function verdictLine(leak: Leak): string {
  const perRequest =
    leak.bytesPerRequest === undefined ? '' : ` (${round(leak.bytesPerRequest)} B per request)`
  const sure = leak.confidence > 0.999 ? 'above 99.9 %' : percent(leak.confidence, 1)
  const end = leak.timeToLimit === undefined ? '' : `, limit in ${span(leak.timeToLimit)}`
  return `${leak.kind} grows by ${size(leak.bytesPerHour)} per hour${perRequest}, confidence ${sure}${end}`
}

function leakLines(leak: Leak): string[] {
  const lines = [`${leak.state.toUpperCase()} ${verdictLine(leak)}`, `  ${leak.advice}`]
  for (const { function: name, place, bytes, share, stack } of leak.sites) {
    lines.push(`  from ${name} (${place}): ${size(bytes)}, ${percent(share)} of what stayed`)
    lines.push(...stack.slice(1).map((frame) => `       called by ${frame}`))
  }
  for (const { name, path, share } of leak.diff?.holders ?? []) {
    lines.push(`  ${name} is held (${percent(share)} of them) by`)
    lines.push(...path.map((step) => `       ${step}`))
  }
  for (const { name, countBefore, countAfter, bytesBefore, bytesAfter } of worthTelling(leak.diff)) {
    lines.push(
      `  ${name}: ${countAfter - countBefore} more (${countAfter}), ${size(bytesAfter - bytesBefore)} more`,
    )
  }
  lines.push(...leak.files.map((file) => `  file ${file}`), ...leak.notes.map((note) => `  note: ${note}`))
  return lines
}

/** A snapshot of a running process has compiled code and the like beside what leaks. */
function worthTelling(diff: SnapshotDiff | undefined): readonly ConstructorGrowth[] {
  const growth = ({ bytesBefore, bytesAfter }: ConstructorGrowth) => bytesAfter - bytesBefore
  const [first] = diff?.grown ?? []
  return diff?.grown.filter((one) => growth(one) >= LEAST_SHARE * growth(first!)) ?? []
}

const UNITS = ['B', 'KB', 'MB', 'GB', 'TB']

export function size(bytes: number): string {
  let [value, unit] = [bytes, 0]
  while (Math.abs(value) >= 1024 && unit < UNITS.length - 1) {
    value /= 1024
    unit++
  }
  return `${unit === 0 ? Math.round(value) : value.toFixed(1)} ${UNITS[unit]}`
}

export function span(milliseconds: number): string {
  const minutes = milliseconds / 60_000
  if (minutes < 1) return `${Math.round(milliseconds / 1_000)} s`
  if (minutes < 60) return `${Math.round(minutes)} min`
  const hours = minutes / 60
  return hours < 48 ? `${hours.toFixed(1)} h` : `${(hours / 24).toFixed(1)} days`
}

export function percent(share: number, digits = 0): string {
  return `${(share * 100).toFixed(digits)} %`
}

function round(value: number): string {
  return String(Math.round(value * 100) / 100)
}

function list(counts: Readonly<Record<string, number>>): string {
  const entries = Object.entries(counts)
  return entries.length === 0 ? 'none' : entries.map(([name, count]) => `${name} ${count}`).join(', ')
}
