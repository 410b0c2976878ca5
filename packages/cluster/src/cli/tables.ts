import type { SupervisorStats, WorkerStats } from '../stats.js'

const MB = 1024 * 1024

/** `spillway status` */
export function statusTable(stats: SupervisorStats): string {
  const { name, phase, degraded, generation, target, ready, listening, forks, restarts, reloads, logs } =
    stats
  const causes = Object.entries(restarts).map(([cause, count]) => `${count} ${cause}`)
  return [
    `${name}: ${degraded ? 'degraded' : phase}, ${ready} of ${target} workers ready, generation ${generation}`,
    `listening on ${listening.join(', ') || 'nothing'}`,
    `${forks} forks; replaced: ${causes.join(', ') || 'none'}; reloads: ${reloads.ok} ok, ${reloads.refused} refused`,
    ...(logs === undefined || logs.dropped === 0
      ? []
      : [
          `${logs.dropped} lines of output were dropped${logs.error === undefined ? '' : ` (${logs.error})`}`,
        ]),
    '',
    workerTable(stats.workers),
  ].join('\n')
}

/** One line per worker; `rates` are requests per second by pid. */
export function workerTable(workers: readonly WorkerStats[], rates?: ReadonlyMap<number, number>): string {
  const head = ['worker', 'pid', 'gen', 'state', 'up', 'cpu', 'rss', 'heap', 'lag', 'loop', 'conns', 'active']
  if (rates !== undefined) head.push('req/s')
  const rows = workers.map((worker) => {
    const { slot, pid, generation, state, age, load, outdated } = worker
    const row = [
      String(slot),
      String(pid),
      String(generation),
      outdated === undefined ? state : `${state} (${outdated})`,
      duration(age),
      load === undefined ? '-' : `${Math.round(load.cpu * 100)}%`,
      load === undefined ? '-' : `${Math.round(load.rss / MB)} MB`,
      load === undefined ? '-' : `${Math.round(load.heapUsed / MB)} MB`,
      load === undefined ? '-' : `${load.lag.toFixed(1)} ms`,
      load === undefined ? '-' : `${Math.round(load.utilization * 100)}%`,
      load === undefined ? '-' : String(load.connections),
      load === undefined ? '-' : String(load.active),
    ]
    if (rates !== undefined) row.push((rates.get(pid) ?? 0).toFixed(0))
    return row
  })
  return aligned([head, ...rows])
}

function aligned(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)))
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

function duration(milliseconds: number): string {
  const seconds = Math.floor(milliseconds / 1_000)
  if (seconds < 60) return `${seconds}s`
  if (seconds < 3_600) return `${Math.floor(seconds / 60)}m${seconds % 60}s`
  if (seconds < 86_400) return `${Math.floor(seconds / 3_600)}h${Math.floor((seconds % 3_600) / 60)}m`
  return `${Math.floor(seconds / 86_400)}d${Math.floor((seconds % 86_400) / 3_600)}h`
}
