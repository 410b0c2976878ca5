import cluster from 'node:cluster'
import { randomUUID } from 'node:crypto'
import { Supervisor } from '@spillway/cluster'
import { serveClusterStore } from '@spillway/limiter'
import { Metrics, serveClusterMetrics } from '@spillway/metrics'
import { banner } from './banner.js'
import { type Config, ConfigError, readConfig, USAGE } from './config.js'

// The primary: finds the servers, keeps the workers running, and holds what they share.

try {
  await run()
} catch (error) {
  if (!(error instanceof Error && (error instanceof ConfigError || 'code' in error))) throw error
  // An error that its message explains: a stack would only bury it.
  console.error(error.message)
  process.exitCode = 1
}

async function run(): Promise<void> {
  if (process.argv.includes('--help')) {
    console.log(USAGE)
    return
  }
  const config = readConfig(process.env, process.argv.slice(2))
  const { findServers } = await import('./servers.js')
  const servers = await findServers(config)
  const stop = async () => servers[Symbol.asyncDispose]()
  const apiKeys = config.load ? Array.from({ length: 7 }, () => randomUUID()) : config.apiKeys
  serveClusterStore()
  const metrics = new Metrics({ processMetrics: false })
  serveClusterMetrics({ metrics })
  const supervisor = new Supervisor({
    name: 'cities',
    exec: new URL('./worker.js', import.meta.url),
    args: [],
    workers: config.workers,
    port: config.port,
    env: { ...servers.env, FRAMEWORK: config.framework, ...limits(config), API_KEYS: apiKeys.join(',') },
    beforeExit: stop,
  })
  metrics.watch('cluster', supervisor)
  try {
    let port = config.port
    supervisor.on('listening', (listening) => {
      port = listening.port ?? port
    })
    await supervisor.start()
    const origin = `${config.tls === undefined ? 'http' : 'https'}://${config.host}:${port}`
    console.log(banner(config, origin, servers.lines))
    if (config.load) {
      const { playLoad } = await import('./load.js')
      await playLoad({ origin, apiKeys, killWorker, reload: () => supervisor.reload() }, console.log)
    }
  } catch (error) {
    await supervisor.close()
    await stop()
    throw error
  }
}

/** The load plays many clients that are not human. */
function limits({ load, rateLimit }: Config): { readonly RATE_LIMIT: string } {
  return { RATE_LIMIT: String(load ? Math.max(rateLimit, 100_000) : rateLimit) }
}

function killWorker(): void {
  Object.values(cluster.workers ?? {})[0]?.process.kill('SIGKILL')
}
