import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { type ReplicaPair, startReplicaPair } from '@spillway/testkit'
import { afterAll, beforeAll, expect, it } from 'vitest'

const PROGRAM = fileURLToPath(new URL('./reads-and-writes.mjs', import.meta.url))

let pair: ReplicaPair
const workers: ChildProcess[] = []

interface Reply {
  readonly job: number
  readonly id?: number
  readonly token?: string
  readonly n?: number
  readonly server?: number
}

beforeAll(async () => {
  pair = await startReplicaPair()
  await pair.primary.query(
    'CREATE TABLE t (id INT PRIMARY KEY AUTO_INCREMENT, n INT)',
    'CREATE FUNCTION which_server() RETURNS INT NOT DETERMINISTIC NO SQL RETURN @@server_id',
  )
  await pair.waitForReplica()
  for (let i = 0; i < 4; i++) workers.push(fork(PROGRAM, [pair.primary.url('app'), pair.replica.url('app')]))
  await Promise.all(workers.map((worker) => once(worker, 'message')))
})
afterAll(async () => {
  for (const worker of workers) worker.disconnect()
  await pair?.[Symbol.asyncDispose]()
})

let jobs = 0

/** One question to one worker. */
async function ask(worker: ChildProcess, question: object): Promise<Reply> {
  const job = ++jobs
  const reply = new Promise<Reply>((resolve) => {
    const listen = (message: unknown) => {
      if ((message as Reply).job !== job) return
      worker.off('message', listen)
      resolve(message as Reply)
    }
    worker.on('message', listen)
  })
  worker.send({ job, ...question })
  return reply
}

/** Writes in one process and reads in the next one, so many times; how many reads did not see their write. */
async function pairs(count: number, withToken: boolean): Promise<{ stale: number; fromReplica: number }> {
  let left = count
  let stale = 0
  let fromReplica = 0
  const chain = async (at: number) => {
    for (let turn = at; left-- > 0; turn++) {
      const [one, other] = [workers[turn % 4]!, workers[(turn + 1) % 4]!]
      const { id, token } = await ask(one, { write: turn })
      const { n, server } = await ask(other, withToken ? { id, token } : { id })
      if (n !== turn) stale++
      if (server === 2) fromReplica++
    }
  }
  await Promise.all([0, 1, 2, 3, 4, 5, 6, 7].map(chain))
  return { stale, fromReplica }
}

it('B24 2,000 writes in one process, each read in another at once by its token: none stale, most from the replica', async () => {
  const { stale, fromReplica } = await pairs(2_000, true)
  expect(stale).toBe(0)
  expect(fromReplica).toBeGreaterThan(1_000)
  // Without the token the same shows stale reads, or it would prove nothing.
  await pair.replica.stopReplication()
  expect((await pairs(50, false)).stale).toBeGreaterThan(0)
}, 60_000)
