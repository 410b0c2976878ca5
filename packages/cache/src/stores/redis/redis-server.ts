import { ioredisCommands } from '@spillway/kit'
import { StoreUnavailableError } from '../../errors.js'
import { ServerClock } from '../server-clock.js'
import type { RedisClient } from './redis-client.js'
import { textsIn } from './redis-reads.js'

/** What is known of the server behind a client: its time. */
export class RedisServer {
  readonly clock: ServerClock

  constructor(client: RedisClient) {
    const time = ioredisCommands(client).text('time')
    this.clock = new ServerClock(async () => {
      if (client.status !== 'ready') throw new StoreUnavailableError('not ready')
      const [seconds, microseconds] = textsIn(await time())
      return Number(seconds) * 1000 + Number(microseconds) / 1000
    })
    const measure = () => this.clock.measure()
    client.on('ready', measure)
    if (client.status === 'ready') measure()
  }
}

const servers = new WeakMap<RedisClient, RedisServer>()

/** One for all caches of a client. */
export function serverOf(client: RedisClient): RedisServer {
  let server = servers.get(client)
  if (server === undefined) servers.set(client, (server = new RedisServer(client)))
  return server
}
