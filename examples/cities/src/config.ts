import { accessSync, constants } from 'node:fs'
import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'

/** What the environment and the command line say. */
export interface Config {
  readonly framework: Framework
  readonly port: number
  readonly host: string
  readonly workers: number
  /** Requests that one client may make at once, and gets back per minute. */
  readonly rateLimit: number
  /** Clients that are limited by their key and not by their address. */
  readonly apiKeys: readonly string[]
  readonly redisUrl: string | undefined
  readonly memcached: readonly string[]
  /** The primary first, then its replicas. */
  readonly databases: readonly string[]
  /** Paths of PEM files. */
  readonly tls: { readonly key: string; readonly cert: string } | undefined
  /** Use no server, even where one is on the PATH. */
  readonly embedded: boolean
  /** Put load on the app and show what each package does. */
  readonly load: boolean
}

export const FRAMEWORKS = ['express', 'fastify', 'koa'] as const
export type Framework = (typeof FRAMEWORKS)[number]

/** The configuration is wrong: one line for the person who started us. */
export class ConfigError extends Error {}

export const USAGE = `npm start -- [--framework express|fastify|koa] [--port n] [--workers n] [--embedded] [--load]

In the environment:
  PORT, HOST, WORKERS, FRAMEWORK     as the options; HOST is 127.0.0.1
  RATE_LIMIT                         requests per minute and client (600)
  API_KEYS                           keys, separated by commas: a client that sends one as x-api-key is limited by it
  DATABASE_URL                       mysql://user:password@host/database of a database for cities and check-ins
  DATABASE_REPLICA_URLS              its replicas, separated by commas
  REDIS_URL                          redis://host:6379
  MEMCACHED_SERVERS                  host:port, separated by commas (used where there is no Redis)
  TLS_KEY, TLS_CERT                  PEM files: serve HTTPS`

/** @throws ConfigError */
export function readConfig(env: NodeJS.ProcessEnv, argv: readonly string[] = []): Config {
  const flags = readFlags(argv)
  const framework = flags.framework ?? env.FRAMEWORK ?? 'express'
  if (!isFramework(framework)) {
    throw new ConfigError(`FRAMEWORK must be ${FRAMEWORKS.join(', ')}, not "${framework}".`)
  }
  return {
    framework,
    port: whole('PORT', flags.port ?? env.PORT ?? '3000', 0, 65_535),
    host: env.HOST ?? '127.0.0.1',
    workers: whole(
      'WORKERS',
      flags.workers ?? env.WORKERS ?? String(Math.max(2, availableParallelism())),
      1,
      64,
    ),
    rateLimit: whole('RATE_LIMIT', env.RATE_LIMIT ?? '600', 1, 1_000_000),
    apiKeys: listOf(env.API_KEYS),
    redisUrl: url('REDIS_URL', env.REDIS_URL, ['redis:', 'rediss:']),
    memcached: listOf(env.MEMCACHED_SERVERS),
    databases: [env.DATABASE_URL, ...listOf(env.DATABASE_REPLICA_URLS)]
      .map((value, i) => url(i === 0 ? 'DATABASE_URL' : 'DATABASE_REPLICA_URLS', value, ['mysql:']))
      .filter((value) => value !== undefined),
    tls: tls(env),
    embedded: flags.embedded ?? false,
    load: flags.load ?? false,
  }
}

function readFlags(argv: readonly string[]) {
  try {
    return parseArgs({
      args: [...argv],
      options: {
        framework: { type: 'string' },
        port: { type: 'string' },
        workers: { type: 'string' },
        embedded: { type: 'boolean' },
        load: { type: 'boolean' },
      },
    }).values
  } catch (error) {
    throw new ConfigError(`${(error as Error).message.split('. ')[0]}.\n\n${USAGE}`)
  }
}

function isFramework(value: string): value is Framework {
  return (FRAMEWORKS as readonly string[]).includes(value)
}

function whole(name: string, text: string, min: number, max: number): number {
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN
  if (!(value >= min && value <= max)) {
    throw new ConfigError(`${name} must be a whole number from ${min} to ${max}, not "${text}".`)
  }
  return value
}

function url(name: string, text: string | undefined, protocols: readonly string[]): string | undefined {
  if (!text) return undefined
  if (!URL.canParse(text) || !protocols.includes(new URL(text).protocol)) {
    // The value may hold a password.
    throw new ConfigError(`${name} must be a URL that begins with ${protocols.join('// or ')}//.`)
  }
  return text
}

function listOf(text = ''): string[] {
  return text
    .split(',')
    .map((item) => item.trim())
    .filter(Boolean)
}

function tls({ TLS_KEY, TLS_CERT }: NodeJS.ProcessEnv): Config['tls'] {
  if (!TLS_KEY && !TLS_CERT) return undefined
  if (!TLS_KEY || !TLS_CERT) throw new ConfigError('TLS_KEY and TLS_CERT go together.')
  try {
    for (const file of [TLS_KEY, TLS_CERT]) accessSync(file, constants.R_OK)
    return { key: TLS_KEY, cert: TLS_CERT }
  } catch (error) {
    throw new ConfigError(`TLS_KEY or TLS_CERT cannot be read: ${(error as Error).message}.`)
  }
}
