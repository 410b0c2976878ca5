import { spawn } from 'node:child_process'
import { closeSync, existsSync, mkdirSync, openSync, readFileSync } from 'node:fs'
import { basename, dirname, extname, resolve } from 'node:path'
import { parseEnv } from 'node:util'
import { command, controlPath } from '../control/control-client.js'
import { LogOutput } from '../logs/log-output.js'
import type { SupervisorOptions } from '../options.js'
import type { SupervisorStats } from '../stats.js'
import { Supervisor } from '../supervisor.js'
import { bytesOf, parse, timeOf } from './args.js'
import { UsageError } from './usage.js'

const OPTIONS = {
  instances: { type: 'string', short: 'i' },
  name: { type: 'string', short: 'n' },
  port: { type: 'string', short: 'p' },
  'env-file': { type: 'string' },
  'max-memory-restart': { type: 'string' },
  'drain-timeout': { type: 'string' },
  'drain-delay': { type: 'string' },
  'start-timeout': { type: 'string' },
  'wait-ready': { type: 'boolean' },
  'shutdown-with-message': { type: 'boolean' },
  'stop-signal': { type: 'string' },
  'node-args': { type: 'string' },
  cwd: { type: 'string' },
  log: { type: 'string' },
  json: { type: 'boolean' },
  detach: { type: 'boolean', short: 'd' },
} as const

type Given = ReturnType<typeof parse<typeof OPTIONS>>['values']

/** Longest wait for a supervisor in the background to be up. Milliseconds. */
const PATIENCE = 60_000

/** What a reader of stderr that has stalled may leave in our memory. Bytes. */
const MOST_NEWS = 256 * 1024

/** `spillway start app.js -i max` */
export async function start(args: string[]): Promise<void> {
  const end = args.indexOf('--')
  const own = end === -1 ? args : args.slice(0, end)
  const { values, positionals } = parse(own, OPTIONS)
  const [script, ...rest] = positionals
  if (script === undefined) throw new UsageError('start needs a script: spillway start app.js')
  if (rest.length > 0) throw new UsageError('Arguments of the script stand after --')
  const exec = resolve(values.cwd ?? '.', script)
  if (!existsSync(exec)) throw new Error(`There is no ${exec}`)
  const name = values.name ?? basename(script, extname(script)).replace(/[^\w.-]/g, '-')
  if (values.detach) return detach(args, name, values.log)

  const news = new LogOutput(2, MOST_NEWS)
  const supervisor = new Supervisor({
    ...supervisorOptions(values),
    exec,
    name,
    args: end === -1 ? [] : args.slice(end + 1),
    control: true,
    beforeExit: () => news.close(),
  })
  announce(supervisor, (text) => news.write(`[spillway] ${name}: ${text}`))
  await supervisor.start().catch(async (error: unknown) => {
    await news.close()
    throw error
  })
}

function supervisorOptions(given: Given): SupervisorOptions {
  const instances = given.instances ?? 'max'
  const workers = instances === 'max' || instances === '0' ? 'auto' : Number(instances)
  if (workers !== 'auto' && !(workers >= 1))
    throw new UsageError(`-i takes a number or max, not "${instances}"`)
  const file = given['env-file']
  const drain = {
    ...(given['drain-timeout'] === undefined ? {} : { timeout: timeOf(given['drain-timeout']) }),
    ...(given['drain-delay'] === undefined ? {} : { delay: timeOf(given['drain-delay']) }),
    ...(given['stop-signal'] === undefined ? {} : { signal: signalOf(given['stop-signal']) }),
  }
  return {
    workers,
    drain,
    execArgv: given['node-args']?.split(/\s+/).filter(Boolean) ?? [],
    waitForReady: given['wait-ready'] === true,
    shutdownMessage: given['shutdown-with-message'] === true,
    logs: {
      format: given.json ? 'json' : 'prefix',
      ...(given.log === undefined ? {} : { file: resolve(given.log) }),
    },
    ...(given.port === undefined ? {} : { port: Number(given.port) }),
    ...(given.cwd === undefined ? {} : { cwd: resolve(given.cwd) }),
    ...(file === undefined ? {} : { env: () => parseEnv(readFileSync(file, 'utf8')) }),
    ...(given['start-timeout'] === undefined ? {} : { startTimeout: timeOf(given['start-timeout']) }),
    ...(given['max-memory-restart'] === undefined ? {} : { maxRss: bytesOf(given['max-memory-restart']) }),
  }
}

function signalOf(text: string): 'SIGTERM' | 'SIGINT' {
  if (text !== 'SIGTERM' && text !== 'SIGINT')
    throw new UsageError(`--stop-signal takes SIGTERM or SIGINT, not "${text}"`)
  return text
}

/** What a human wants to know, on stderr: stdout belongs to the app. */
function announce(supervisor: Supervisor, say: (text: string) => void): void {
  supervisor.on('listening', ({ address }) => say(`listening on ${address}`))
  supervisor.on('exit', ({ pid, slot, cause, code, signal }) => {
    if (cause !== undefined) say(`worker ${slot} (${pid}) ended: ${cause}, ${signal ?? `code ${code}`}`)
  })
  supervisor.on('hang', ({ pid, slot, silent, stack }) => {
    say(
      `worker ${slot} (${pid}) has not turned its event loop for ${Math.round(silent)} ms${stack ? `, in\n${stack}` : ''}`,
    )
  })
  supervisor.on('degraded', ({ within }) =>
    say(`too many crashes within ${within} ms: restarts are slow now`),
  )
  supervisor.on('recovered', () => say('no more crashes: restarts are fast again'))
  supervisor.on('scale', ({ from, to }) => say(`${from} -> ${to} workers`))
  supervisor.on('reload', ({ ok, replaced, lost, milliseconds, error }) => {
    const cut = lost > 0 ? `; ${lost} requests were cut off` : ''
    say(
      ok
        ? `reloaded ${replaced} workers in ${Math.round(milliseconds)} ms${cut}`
        : `reload refused: ${error?.message}`,
    )
  })
  supervisor.on('forkFailed', ({ slot, error, retryIn }) =>
    say(`worker ${slot} could not be started: ${error.message}; again in ${Math.round(retryIn)} ms`),
  )
  supervisor.on('missing', ({ slot, pid, addresses }) =>
    say(`worker ${slot} (${pid}) does not listen on ${addresses.join(', ')}, as the one before it did`),
  )
}

/** The same command in the background; we leave when it serves, or with its error. */
async function detach(args: string[], name: string, log: string | undefined): Promise<void> {
  const path = controlPath(name)
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  const file = resolve(log ?? path.replace(/\.sock$/, '.log'))
  const output = openSync(file, 'a', 0o640)
  const foreground = args.filter((arg) => arg !== '-d' && arg !== '--detach')
  const logged = log === undefined ? insertLog(foreground, file) : foreground
  const child = spawn(process.execPath, [process.argv[1] ?? '', 'start', ...logged], {
    detached: true,
    stdio: ['ignore', output, output],
  })
  closeSync(output)
  const failed = new Promise<never>((_, reject) => {
    child.on('error', reject)
    child.once('exit', (code) => reject(new Error(`${name} did not start (exit code ${code}); see ${file}`)))
  })
  await Promise.race([failed, up(path)])
  child.unref()
  console.log(`${name} runs in the background (pid ${child.pid}), output in ${file}`)
  process.exit(0)
}

function insertLog(args: string[], file: string): string[] {
  return ['--log', file, ...args]
}

async function up(path: string): Promise<void> {
  for (let waited = 0; waited < PATIENCE; waited += 100) {
    const stats = await command<SupervisorStats>(path, 'status').catch(() => undefined)
    if (stats?.phase === 'running') return
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  throw new Error(`It is not up after ${PATIENCE / 1_000} s`)
}
