// `node packages/bench/paths.mjs [checkout]`: how far one warm call travels through the sources of its package: the files that
// it enters, the functions, and the calls from one file to another. With a second checkout of this repository as argument, the
// same is measured there.
//
// Each function reports its entry (paths-loader.mjs); its caller is the next function of a package below it on the stack.
// Functions of the kit, of dependencies and of Node are looked through. What runs in other threads and processes is not seen.
// A call counts until 50 ms after it has settled, so that what goes on behind it counts too.
import { writeFileSync } from 'node:fs'
import { register } from 'node:module'
import { dirname, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { Redis } from 'ioredis'
import { startRedis } from './limiter/redis-server.mjs'
import { database } from './mysql/server.mjs'

const here = dirname(fileURLToPath(import.meta.url))
const checkout = resolve(process.argv[2] ?? resolve(here, '../..'))
register('./paths-loader.mjs', import.meta.url, { data: checkout })

const load = (path) => import(pathToFileURL(`${checkout}/packages/${path}.ts`).href)

/** Entries of one call: `{ file, name, from }`; `undefined` while nothing is recorded. */
let entries

globalThis.__entered = (file, name) => {
  if (entries !== undefined) entries.push({ file, name, from: callerOf() })
}

Error.stackTraceLimit = 200
const SOURCE = /\/packages\/(?!kit\/)([a-z]+\/src\/.*\.ts)$/

/** The file that called the function which has just been entered; `undefined` when Node's event loop did. */
function callerOf() {
  const format = Error.prepareStackTrace
  Error.prepareStackTrace = (_error, frames) => frames
  const { stack } = new Error()
  Error.prepareStackTrace = format
  // This function, `__entered`, the function itself, then its callers. Behind an `await` nobody is a caller any more.
  for (const frame of stack.slice(3)) {
    if (frame.isAsync()) return undefined
    const [, file] = SOURCE.exec(frame.getFileName() ?? '') ?? []
    if (file !== undefined) return `packages/${file}`
  }
  return undefined
}

/** Each path: sets itself up, and returns one warm call and its `close`. */
const PATHS = {
  'limiter: consume, in Redis': async () => {
    const { server, client } = await redis()
    const { RateLimiter, redisStore } = await load('limiter/src/index')
    const limiter = new RateLimiter({ ...LIMIT, store: redisStore(client) })
    return { call: () => limiter.consume('key'), close: closing(limiter, client, server) }
  },
  'limiter: the same, one GET through Express': async () => {
    const { server, client } = await redis()
    const { redisStore } = await load('limiter/src/index')
    const { rateLimit } = await load('limiter/src/express')
    const { default: express } = await import('express')
    const app = express()
    app.use(rateLimit({ ...LIMIT, store: redisStore(client) }))
    app.get('/', (_req, res) => res.send('hello'))
    const http = app.listen(0, '127.0.0.1')
    await new Promise((listening) => http.once('listening', listening))
    const url = `http://127.0.0.1:${http.address().port}/`
    return { call: async () => (await fetch(url)).text(), close: closing(http, client, server) }
  },
  'cache: getOrSet, from a miss to the commit': async () => {
    const { server, client } = await redis()
    const { Cache, redisStore } = await load('cache/src/index')
    const cache = new Cache({ ttl: '10m', store: redisStore(client) })
    let key = 0
    const call = () => cache.getOrSet(`key${key++}`, async () => ({ id: key }))
    return { call, close: closing(cache, client, server) }
  },
  'mysql: query of a session': async () => {
    const { MysqlPool } = await load('mysql/src/index')
    const db = new MysqlPool(await database())
    return { call: () => db.session().query('SELECT ? AS one', [1]), close: closing(db) }
  },
  'offload: run of a task': async () => {
    const { Offloader } = await load('offload/src/index')
    const offloader = new Offloader({ threads: 1 })
    const echo = offloader.task(new URL('./offload/tasks.mjs', import.meta.url), 'echo')
    return { call: () => echo(1), close: closing(offloader) }
  },
  'cluster: reload of one worker, in the primary': async () => {
    const { Supervisor } = await load('cluster/src/index')
    const options = { exec: resolve(here, 'cluster/app.mjs'), workers: 1, env: { PORT: '0' }, signals: false }
    const supervisor = new Supervisor(options)
    await supervisor.start()
    return { call: () => supervisor.reload(), close: closing(supervisor) }
  },
}

const LIMIT = { capacity: 1e9, refill: { tokens: 1_000_000, per: '1h' } }
const WARM_CALLS = 50
const ROUNDS = 5

async function redis() {
  const server = await startRedis()
  const client = new Redis(server.port, '127.0.0.1')
  return { server, client }
}

function closing(...parts) {
  return async () => {
    for (const part of parts) await (part.stop ?? part.close ?? part.disconnect).call(part)
  }
}

async function recorded(call) {
  entries = []
  await call()
  await sleep(50)
  const made = entries
  entries = undefined
  return {
    files: new Set(made.map(({ file }) => file)).size,
    functions: new Set(made.map(({ file, name }) => `${file} ${name}`)).size,
    calls: made.filter(({ file, from }) => from !== undefined && from !== file).length,
    made,
  }
}

const rows = []
for (const [title, begin] of Object.entries(PATHS)) {
  const { call, close } = await begin()
  const warm = title.startsWith('cluster') ? 1 : WARM_CALLS
  for (let i = 0; i < warm; i++) await call()
  await sleep(100)
  const rounds = []
  for (let i = 0; i < ROUNDS; i++) rounds.push(await recorded(call))
  await close()
  // What a timer does in between is in some of the rounds only.
  const least = rounds.reduce((best, one) => (one.calls < best.calls ? one : best))
  rows.push({ title, ...least })
}

console.log('| one warm call | files | functions | calls between files |')
console.log('| --- | ---: | ---: | ---: |')
for (const { title, files, functions, calls } of rows)
  console.log(`| ${title} | ${files} | ${functions} | ${calls} |`)
if (process.env.PATHS_TRACE !== undefined)
  writeFileSync(process.env.PATHS_TRACE, JSON.stringify(rows, undefined, 1))
process.exit(0)
