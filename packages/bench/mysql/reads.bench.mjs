import { reading } from './contenders.mjs'
import { database } from './server.mjs'

await database()

const NAMES = ['mysql2 trace: false', 'spillway', 'mysql2 default', 'mariadb', 'knex', 'kysely', 'drizzle']

const scenario = (concurrency, names = NAMES, rounds = 5) => ({
  title: `SELECT by primary key, pool of 10, ${concurrency} at a time`,
  note: `mysql2, mariadb and ours in prepared form; the builders as their users run them. Client and server share the machine, so this compares the CPU time of the clients.`,
  baseline: 'mysql2 trace: false',
  rounds,
  roundMs: 700,
  warmMs: 300,
  contenders: Object.fromEntries(names.map((name) => [name, reading(name, concurrency)])),
})

const batching = (concurrency) => ({
  title: `Point reads through the loader, ${concurrency} at a time`,
  note: 'All lookups of one turn of the event loop become one IN query. Ratios are to plain reads without batching.',
  baseline: 'mysql2 trace: false',
  rounds: 5,
  roundMs: 700,
  warmMs: 300,
  contenders: Object.fromEntries(
    ['mysql2 trace: false', 'mysql2 default', 'spillway loader'].map((name) => [
      name,
      reading(name, concurrency),
    ]),
  ),
})

export const scenarios = [scenario(1), scenario(32), scenario(256), batching(1), batching(32), batching(256)]
