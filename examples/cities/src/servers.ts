import { locate, startMemcached, startRedis, startReplicaPair } from '@spillway/testkit'
import type { Config } from './config.js'
import { DEMO_ENGINE_NOTE, DemoEngine } from './database/demo-engine.js'
import { prepareMysql } from './database/mysql.js'

/** What the app runs on, as the banner tells it and the workers get it. */
export interface Servers extends AsyncDisposable {
  /** One line each. */
  readonly lines: readonly string[]
  /** For the workers. */
  readonly env: Readonly<Record<string, string>>
}

/**
 * Finds the servers: by URL, else as programs on the PATH, of which private ones are started for as long as we run,
 * else embedded stand-ins. Installs nothing.
 */
export async function findServers(config: Config): Promise<Servers> {
  const disposal = new AsyncDisposal()
  const lines: string[] = []
  const env: Record<string, string> = {}
  try {
    await database(config, disposal, lines, env)
    await cacheStore(config, disposal, lines, env)
  } catch (error) {
    await disposal.run()
    throw error
  }
  return { lines, env, [Symbol.asyncDispose]: () => disposal.run() }
}

async function database(
  config: Config,
  disposal: AsyncDisposal,
  lines: string[],
  env: Record<string, string>,
) {
  const [given] = config.databases
  if (given !== undefined) {
    const cities = await prepareMysql(given)
    env.DATABASE_URL = given
    env.DATABASE_REPLICA_URLS = config.databases.slice(1).join(',')
    lines.push(
      line(
        'MySQL',
        `${new URL(given).host}, ${cities} cities${replicas(config.databases.length - 1)} (DATABASE_URL)`,
      ),
    )
  } else if (
    !config.embedded &&
    locate('mariadb') !== undefined &&
    locate('mariadbInstallDb') !== undefined
  ) {
    const pair = await startReplicaPair({ flushLog: 1 })
    disposal.add(pair)
    const cities = await prepareMysql(pair.primary.url())
    await pair.waitForReplica(60_000)
    env.DATABASE_URL = pair.primary.url('app')
    env.DATABASE_REPLICA_URLS = pair.replica.url('app')
    lines.push(line('MySQL', `MariaDB from the PATH, a private primary and replica, ${cities} cities`))
  } else {
    const engine = new DemoEngine()
    disposal.add({ [Symbol.asyncDispose]: async () => engine.close() })
    env.DATABASE_URL = await engine.listen()
    env.DATABASE_ENGINE = 'demo'
    lines.push(line('MySQL', `none found; demo engine, ${engine.cities} cities`), line('', DEMO_ENGINE_NOTE))
  }
}

async function cacheStore(
  config: Config,
  disposal: AsyncDisposal,
  lines: string[],
  env: Record<string, string>,
) {
  if (config.redisUrl !== undefined) {
    env.REDIS_URL = config.redisUrl
    lines.push(line('Redis', `${new URL(config.redisUrl).host} (REDIS_URL): cache and rate limit`))
  } else if (config.memcached.length > 0) {
    env.MEMCACHED_SERVERS = config.memcached.join(',')
    lines.push(
      line('Memcached', `${config.memcached.join(', ')} (MEMCACHED_SERVERS): cache`),
      RATE_LIMIT_BY_PRIMARY,
    )
  } else if (!config.embedded && locate('redis') !== undefined) {
    const redis = await startRedis()
    disposal.add(redis)
    env.REDIS_URL = redis.url()
    lines.push(line('Redis', 'redis-server from the PATH, a private one: cache and rate limit'))
  } else if (!config.embedded && locate('memcached') !== undefined) {
    const memcached = await startMemcached()
    disposal.add(memcached)
    env.MEMCACHED_SERVERS = memcached.url()
    lines.push(line('Memcached', 'memcached from the PATH, a private one: cache'), RATE_LIMIT_BY_PRIMARY)
  } else {
    lines.push(line('Redis', 'none found; cache in the memory of each worker'), RATE_LIMIT_BY_PRIMARY)
  }
}

const RATE_LIMIT_BY_PRIMARY = line('', 'rate limit kept by the primary, for all workers')

function replicas(count: number): string {
  return count === 0 ? '' : `, ${count} replica${count === 1 ? '' : 's'}`
}

function line(what: string, text: string): string {
  return `${what.padEnd(11)}${text}`
}

/** What was started last is stopped first. */
class AsyncDisposal {
  readonly #started: AsyncDisposable[] = []

  add(disposable: AsyncDisposable): void {
    this.#started.push(disposable)
  }

  async run(): Promise<void> {
    for (const disposable of this.#started.splice(0).reverse()) await disposable[Symbol.asyncDispose]()
  }
}
