import { command } from '../control/control-client.js'
import type { SupervisorStats } from '../stats.js'
import { parse } from './args.js'
import { socketOf } from './names.js'
import { workerTable } from './tables.js'

const PERIOD = 1_000
const CLEAR = '\x1b[H\x1b[J'

/** `spillway top`: until Ctrl-C; prints once when stdout is no terminal. */
export async function top(args: string[]): Promise<void> {
  const { values, positionals } = parse(args, { once: { type: 'boolean' } })
  const path = socketOf(positionals[0])
  const live = process.stdout.isTTY === true && !values.once
  const rates = new Rates()
  let running = true
  process.once('SIGINT', () => {
    running = false
  })
  rates.update(await command<SupervisorStats>(path, 'status'))
  do {
    await new Promise((resolve) => setTimeout(resolve, PERIOD))
    const stats = await command<SupervisorStats>(path, 'status')
    rates.update(stats)
    process.stdout.write(`${live ? CLEAR : ''}${screen(stats, rates)}\n`)
  } while (live && running)
}

function screen(stats: SupervisorStats, { byPid }: Rates): string {
  const { name, phase, degraded, ready, target, generation, listening } = stats
  const loads = stats.workers.map(({ load }) => load).filter((load) => load !== undefined)
  const sum = (pick: (load: (typeof loads)[number]) => number) =>
    loads.reduce((total, load) => total + pick(load), 0)
  const rate = [...byPid.values()].reduce((total, each) => total + each, 0)
  return [
    `${name}  ${degraded ? 'degraded' : phase}  ${ready}/${target} workers  generation ${generation}  ${listening.join(' ')}`,
    `${rate.toFixed(0)} req/s  ${sum(({ active }) => active)} active  ${sum(({ connections }) => connections)} connections  cpu ${Math.round(sum(({ cpu }) => cpu) * 100)}%  rss ${Math.round(sum(({ rss }) => rss) / 1024 ** 2)} MB`,
    '',
    workerTable(stats.workers, byPid),
  ].join('\n')
}

/** Requests per second of each worker, from two reports. */
class Rates {
  readonly byPid = new Map<number, number>()
  readonly #seen = new Map<number, { requests: number; at: number }>()

  update({ workers }: SupervisorStats): void {
    const now = performance.now()
    for (const { pid, load } of workers) {
      const before = this.#seen.get(pid)
      if (load === undefined) continue
      if (before !== undefined) {
        this.byPid.set(pid, Math.max(0, ((load.requests - before.requests) * 1_000) / (now - before.at)))
      }
      this.#seen.set(pid, { requests: load.requests, at: now })
    }
    for (const pid of this.byPid.keys())
      if (!workers.some((worker) => worker.pid === pid)) this.byPid.delete(pid)
  }
}
