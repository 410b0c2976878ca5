import { StoreUnavailableError } from '../../errors.js'
import { ServerClock } from '../server-clock.js'
import type { RedisClient } from './redis-client.js'
import { textsIn } from './redis-reply.js'

/** What is known of the server behind a client: its time, and what tells it from others. */
export class RedisServer {
  readonly clock: ServerClock
  /** As by {@link placeOf}; `undefined`: not known yet. */
  place: string | undefined
  readonly #client: RedisClient
  #asked = 0

  constructor(client: RedisClient) {
    this.#client = client
    const time = client.createBuiltinCommand('time').string.bind(client)
    this.clock = new ServerClock(async () => {
      if (client.status !== 'ready') throw new StoreUnavailableError('not ready')
      const [seconds, microseconds] = textsIn(await time())
      return Number(seconds) * 1000 + Number(microseconds) / 1000
    })
    const measure = () => this.clock.measure()
    const locate = () => this.#locate()
    client.on('ready', measure)
    client.on('ready', locate)
    client.on('select', locate)
    if (client.status !== 'ready') return
    measure()
    locate()
  }

  #locate(): void {
    this.place = undefined
    const asked = ++this.#asked
    void placeOf(this.#client).then((place) => {
      if (asked === this.#asked) this.place = place
    })
  }
}

const servers = new WeakMap<RedisClient, RedisServer>()

/** One for all caches of a client. */
export function serverOf(client: RedisClient): RedisServer {
  let server = servers.get(client)
  if (server === undefined) servers.set(client, (server = new RedisServer(client)))
  return server
}

/** They speak RESP, and answer and publish on several threads. */
const NOT_REDIS = /dragonfly|garnet|keydb|kvrocks/i

/**
 * The server and the database that a connection leads to: two connections with the same one see the same entries.
 * `undefined` when that is not to be had: not of Redis or Valkey, not in a cluster, not on a connection that may not ask.
 */
export async function placeOf(client: RedisClient): Promise<string | undefined> {
  if (client.isCluster) return undefined
  const ask = (command: string, what: string) =>
    client.createBuiltinCommand(command).string.call(client, what).then(String)
  try {
    const [server, connection] = await Promise.all([ask('info', 'server'), ask('client', 'INFO')])
    const [, runId] = /^run_id:(\w+)/m.exec(server) ?? []
    const [, database] = /\bdb=(\d+)/.exec(connection) ?? []
    if (runId === undefined || database === undefined || NOT_REDIS.test(server)) return undefined
    return `${runId} ${database}`
  } catch {
    return undefined
  }
}
