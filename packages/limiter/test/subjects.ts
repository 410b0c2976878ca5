import cluster, { type Worker } from 'node:cluster'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { Clock } from '@spillway/kit'
import {
  type Answer,
  type ConsumeOptions,
  type Decision,
  limiters,
  memoryStore,
  RateLimiter,
  type RateLimiterOptions,
  type RedisClient,
  redisStore,
  type Store,
  serveClusterStore,
} from '../src/index.js'
import { SCRIPT } from '../src/stores/redis/redis-script.js'

/** Unlike the clock of the kit's tests, this one goes back too. */
export class TestClock implements Clock {
  #now = 0

  now = (): number => this.#now

  advance(milliseconds: number): void {
    this.#now += milliseconds
  }
}

export type Options = RateLimiterOptions<never>

/** A limiter wherever its buckets are; everything may take time. */
export interface Subject {
  consume(key: string, options?: ConsumeOptions): Promise<Decision>
  peek(key: string, options?: ConsumeOptions): Promise<Decision>
  refund(key: string, tokens?: number): Promise<Decision>
  settle(decision: Decision, cost: number): Promise<Decision>
  reset(key: string): Promise<Decision>
}

/** A store with a clock that the test moves. */
export interface World {
  readonly clock: TestClock
  /** One limiter, or several that decide together. */
  limiter(...options: Options[]): Promise<Subject>
  close(): Promise<unknown>
}

export type Worlds = Readonly<Record<string, () => Promise<World>>>

function subjectOf(limiter: RateLimiter<Answer>): Subject {
  return {
    consume: async (key, options) => limiter.consume(key, options),
    peek: async (key, options) => limiter.peek(key, options),
    refund: async (key, tokens) => limiter.refund(key, tokens),
    settle: async (decision, cost) => limiter.settle(decision, cost),
    reset: async (key) => limiter.reset(key),
  }
}

function opener(store: Store<Answer>) {
  return async (...options: Options[]): Promise<Subject> => {
    const members = options.map(
      (each) => new RateLimiter<Answer>({ denyCache: false, ...each, store } as RateLimiterOptions),
    )
    return subjectOf(members.length === 1 ? members[0]! : limiters.all(members))
  }
}

export async function memoryWorld(): Promise<World> {
  const clock = new TestClock()
  const store = memoryStore({ clock })
  return { clock, limiter: opener(store), close: () => store.close() }
}

/** Real Redis, where only the source of the time is another one: the client sends the script with the time in it. */
export async function redisWorld(client: RedisClient): Promise<World> {
  const clock = new TestClock()
  const store = redisStore(withClock(client, clock), { deadline: '20s' })
  return { clock, limiter: opener(store), close: () => store.close() }
}

export function withClock(client: RedisClient, clock: TestClock): RedisClient {
  const callBuffer: RedisClient['callBuffer'] = (_command, _script, keys, ...args) => {
    const micros = Math.round(clock.now() * 1_000) + 1_000_000
    const time = `{ ${Math.floor(micros / 1_000_000)}, ${micros % 1_000_000} }`
    return client.callBuffer('eval', SCRIPT.text.replace("redis.call('TIME')", time), keys!, ...args)
  }
  const { isCluster, options } = client
  return {
    callBuffer,
    on: client.on.bind(client),
    off: client.off.bind(client),
    ...(isCluster === undefined ? {} : { isCluster }),
    ...(options === undefined ? {} : { options }),
  }
}

/** Buckets in this process as the primary, the limiters in a worker. */
export async function clusterWorld(): Promise<World> {
  const clock = new TestClock()
  const server = serveClusterStore({ clock })
  const worker = await forkWorker({ deadline: '20s' })
  return {
    clock,
    limiter: worker.limiter,
    close: () => Promise.all([worker.stop(), server.close()]),
  }
}

export interface TestWorker {
  readonly worker: Worker
  limiter(...options: Options[]): Promise<Subject>
  call(name: 'stats' | 'close'): Promise<unknown>
  /** Any code in the worker sends any message to the primary. */
  say(message: unknown): Promise<unknown>
  /** The next `down` or `up` of the store in the worker. */
  event(name: 'down' | 'up'): Promise<string | undefined>
  stop(): Promise<unknown>
}

interface Result {
  readonly test: 'result'
  readonly id: number
  readonly value: unknown
  readonly error?: { readonly code: string; readonly message: string }
}

export async function forkWorker(store: object = {}): Promise<TestWorker> {
  cluster.setupPrimary({
    exec: fileURLToPath(new URL('./fixtures/cluster-worker.mjs', import.meta.url)),
    serialization: 'advanced', // keeps Infinity in decisions
    execArgv: [],
  })
  const worker = cluster.fork({ STORE: JSON.stringify(store), VITEST: '' })
  await messageOf(worker, (message) => message.test === 'ready')
  worker.setMaxListeners(0)
  let ids = 0
  const call = (name: string, subject: number, args: readonly unknown[]): Promise<unknown> => {
    const id = ids++
    const result = messageOf(worker, (message) => message.test === 'result' && message.id === id)
    worker.send({ test: 'call', id, call: name, subject, args })
    return result.then((message) => {
      const { error, value } = message as unknown as Result
      if (error !== undefined) throw Object.assign(new Error(error.message), error)
      return value
    })
  }
  return {
    worker,
    async limiter(...options) {
      const index = Number(await call('open', 0, options))
      const forward = (name: string) => (key: string, options?: unknown) =>
        call(name, index, [key, options]) as Promise<Decision>
      return {
        consume: forward('consume'),
        peek: forward('peek'),
        refund: forward('refund'),
        reset: forward('reset'),
        settle: (decision, cost) =>
          call('settle', index, [(decision as Decision & { ref: number }).ref, cost]) as Promise<Decision>,
      }
    },
    call: (name) => call(name, 0, []),
    say: (message) => call('say', 0, [message]),
    event: async (name) => (await messageOf(worker, (message) => message.test === name)).reason as string,
    stop: () => {
      if (worker.isDead()) return Promise.resolve()
      const exit = once(worker, 'exit')
      worker.kill('SIGKILL')
      return exit
    },
  }
}

function messageOf(
  worker: Worker,
  isIt: (message: Record<string, unknown>) => boolean,
): Promise<Record<string, unknown>> {
  return new Promise((resolve, reject) => {
    const onMessage = (message: Record<string, unknown>) => {
      if (!isIt(message)) return
      stop()
      resolve(message)
    }
    const onExit = (code: number) => {
      stop()
      reject(new Error(`The worker exited with ${code}`))
    }
    const stop = () => {
      worker.off('message', onMessage)
      worker.off('exit', onExit)
    }
    worker.on('message', onMessage)
    worker.on('exit', onExit)
  })
}

/** Quietly: tests break connections on purpose. */
export function quiet<C extends RedisClient>(client: C): C {
  client.on('error', () => {})
  return client
}
