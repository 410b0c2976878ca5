import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'

/**
 * Runs one scenario: every contender in a process of its own (no shared JIT, no shared heap), in turns, round by
 * round, so that a machine that gets slower slows them all. The result is the median of each figure and its ratio
 * to the baseline's, taken round by round.
 *
 * A bench file exports `scenarios`, a list of
 * `{ title, baseline, shared?, processes?, rounds?, roundMs?, warmMs?, contenders: { [name]: async () => contender } }`,
 * a contender being `{ begin?, run, end?, close? }`.
 * `run(roundMs)` does work for about that long and returns `{ ops, ...figures }`; what it returns beside `ops`
 * becomes a column (numbers only). Before each round the garbage is collected, and V8 forgets compiled code with it:
 * `warmMs` of work that is not counted bring it back. Two processes of one contender can differ by some percent for
 * their whole lives: where that matters, `processes` says how many of each take part, one after the other. Where
 * contenders differ by less than that, as one program with something on and off, they are `shared`: all in one process,
 * in many short rounds without a collection before, and what one of them must not meet of another is made in `begin`
 * and gone after `end`, around each round.
 */
export async function runScenario(file, index, scenario) {
  const names = Object.keys(scenario.contenders)
  const samples = new Map(names.map((name) => [name, []]))
  for (let i = 0; i < (scenario.processes ?? 1); i++) await takeTurns(file, index, scenario, samples)
  const base = samples.get(scenario.baseline)
  return names.map((name) => {
    const own = samples.get(name)
    const row = { name, ratio: median(own.map((sample, i) => sample.perSecond / base[i].perSecond)) }
    for (const figure of Object.keys(own[0])) row[figure] = median(own.map((sample) => sample[figure]))
    return row
  })
}

/** All rounds of one process of each contender. */
async function takeTurns(file, index, { shared = false, rounds = 5, roundMs = 1_000 }, samples) {
  const names = [...samples.keys()]
  const children = new Map()
  try {
    for (const group of shared ? [names] : names.map((name) => [name])) {
      const child = await startContenders(file, index, group)
      for (const name of group) children.set(name, child)
    }
    for (const name of names) await children.get(name).round(name, roundMs) // warm-up, not counted
    for (let round = 0; round < rounds; round++) {
      // There and back: whoever comes after a dear one, or late in a round, is not always the same.
      const order = round % 2 === 0 ? names : [...names].reverse()
      for (const name of order) samples.get(name).push(await children.get(name).round(name, roundMs))
    }
  } finally {
    for (const child of new Set(children.values())) await child.close()
  }
}

async function startContenders(file, index, names) {
  const child = fork(
    fileURLToPath(new URL('./contender.mjs', import.meta.url)),
    [file, String(index), ...names],
    {
      execArgv: ['--expose-gc'],
    },
  )
  const replies = []
  let failed
  child.on('message', (message) => replies.shift()?.resolve(message))
  child.on('exit', (code) => {
    failed = new Error(`${names.join(', ')} exited with ${code}`)
    for (const reply of replies.splice(0)) reply.reject(failed)
  })
  const ask = (message) =>
    new Promise((resolve, reject) => {
      if (failed) return reject(failed)
      replies.push({ resolve, reject })
      if (message) child.send(message)
    })
  const ready = await ask()
  if (ready.error) throw new Error(`${names.join(', ')}: ${ready.error}`)
  return {
    async round(name, roundMs) {
      const reply = await ask({ name, roundMs })
      if (reply.error) throw new Error(`${name}: ${reply.error}`)
      return reply.sample
    },
    async close() {
      if (failed) return
      child.removeAllListeners('exit')
      const gone = new Promise((resolve) => child.once('exit', resolve))
      child.send({ close: true })
      const force = setTimeout(() => child.kill('SIGKILL'), 3_000)
      await gone
      clearTimeout(force)
    },
  }
}

export function median(values) {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}
