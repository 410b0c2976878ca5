import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'

const THREADS = 2
const TASKS = new URL('./tasks.mjs', import.meta.url)

/** `call(name, input, transfer)` of each contender, over the same module and the same number of threads. */
const contenders = {
  async 'raw worker_threads'() {
    const workers = await Promise.all(
      Array.from({ length: THREADS }, async () => {
        const worker = new Worker(new URL('./raw-worker.mjs', import.meta.url))
        await once(worker, 'message')
        return { worker, pending: new Map() }
      }),
    )
    for (const { worker, pending } of workers) {
      worker.on('message', ({ id, value }) => {
        pending.get(id)(value)
        pending.delete(id)
      })
    }
    let lastId = 0
    return {
      call(name, input, transfer) {
        const id = ++lastId
        const { worker, pending } = workers[id % THREADS]
        return new Promise((resolve) => {
          pending.set(id, resolve)
          worker.postMessage({ id, name, input }, transfer)
        })
      },
      close: () => Promise.all(workers.map(({ worker }) => worker.terminate())),
    }
  },
  async piscina() {
    const { Piscina } = await import('piscina')
    const pool = new Piscina({ filename: fileURLToPath(TASKS), minThreads: THREADS, maxThreads: THREADS })
    return {
      call: (name, input, transferList) => pool.run(input, { name, transferList }),
      close: () => pool.destroy(),
    }
  },
  async '@spillway/offload'() {
    const { Offloader } = await import('@spillway/offload')
    const offloader = new Offloader({ threads: THREADS, queue: 10_000 })
    const tasks = Object.fromEntries(
      ['noop', 'echo', 'length', 'heavy'].map((name) => [name, offloader.task(TASKS, name)]),
    )
    await offloader.warm()
    return {
      call: (name, input, transfer) =>
        transfer === undefined ? tasks[name](input) : tasks[name](input, { transfer }),
      close: () => offloader.close(),
    }
  },
  async tinypool() {
    const { Tinypool } = await import('tinypool')
    const pool = new Tinypool({ filename: TASKS.href, minThreads: THREADS, maxThreads: THREADS })
    return {
      call: (name, input, transferList) => pool.run(input, { name, transferList }),
      close: () => pool.destroy(),
    }
  },
  async workerpool() {
    const { default: workerpool } = await import('workerpool')
    const pool = workerpool.pool(fileURLToPath(new URL('./workerpool-worker.mjs', import.meta.url)), {
      minWorkers: THREADS,
      maxWorkers: THREADS,
      workerType: 'thread',
    })
    return {
      call: (name, input, transfer) => pool.exec(name, [input], { transfer }),
      close: () => pool.terminate(true),
    }
  },
  async poolifier() {
    const { FixedThreadPool } = await import('poolifier')
    const pool = new FixedThreadPool(
      THREADS,
      fileURLToPath(new URL('./poolifier-worker.mjs', import.meta.url)),
      { enableTasksQueue: true },
    )
    return {
      call: (name, input, transfer) => pool.execute(input, name, undefined, transfer),
      close: () => pool.destroy(),
    }
  },
}

/** Keeps `inFlight` calls of `once()` in the air for about `roundMs`. */
async function keepInFlight(inFlight, roundMs, call) {
  const end = performance.now() + roundMs
  let ops = 0
  const lane = async () => {
    do {
      await call()
      ops++
    } while (performance.now() < end)
  }
  await Promise.all(Array.from({ length: inFlight }, lane))
  return { ops }
}

function scenario(title, inFlight, call, extra = {}) {
  return {
    title,
    baseline: 'piscina',
    rounds: 5,
    roundMs: 800,
    warmMs: 300,
    ...extra,
    contenders: Object.fromEntries(
      Object.entries(contenders).map(([name, open]) => [
        name,
        async () => {
          const pool = await open()
          return {
            run: (roundMs) => keepInFlight(inFlight, roundMs, () => call(pool)),
            close: () => pool.close(),
          }
        },
      ]),
    ),
  }
}

const MEGABYTE = 1024 * 1024
const payload = new Uint8Array(MEGABYTE)

export const scenarios = [
  scenario('Empty task, one at a time', 1, (pool) => pool.call('noop')),
  scenario('Empty task, 64 in flight', 64, (pool) => pool.call('noop')),
  scenario('1 MB buffer in, copied', 2, (pool) => pool.call('length', payload)),
  scenario(
    '1 MB buffer in, transferred',
    2,
    (pool) => {
      const bytes = new Uint8Array(MEGABYTE)
      return pool.call('length', bytes, [bytes.buffer])
    },
    {
      note: 'The caller loses the buffer, so each call makes a new one of zeros, which takes a good third of the time.',
    },
  ),
  scenario('A 20 ms CPU task on all cores', THREADS, (pool) => pool.call('heavy'), {
    note: 'Two threads on the two cores of this machine; a queue that is kept full.',
  }),
]
