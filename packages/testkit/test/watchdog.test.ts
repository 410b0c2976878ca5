import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { eventually, isAlive } from '../src/index.js'

const TSX = createRequire(import.meta.url).resolve('tsx')
const HOLDER = fileURLToPath(new URL('fixtures/holder.ts', import.meta.url))

interface Held {
  readonly pids: readonly number[]
  readonly folders: readonly string[]
}

/** A process that starts servers, says which, and then waits for its end. */
async function hold(...kinds: readonly string[]) {
  const child = spawn(process.execPath, ['--import', TSX, HOLDER, ...kinds], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  for await (const line of createInterface({ input: child.stdout })) {
    return { child, exited, held: JSON.parse(line) as Held }
  }
  throw new Error('the holder said nothing')
}

async function expectGone({ pids, folders }: Held) {
  await eventually(() => {
    expect(pids.filter(isAlive)).toEqual([])
    expect(folders.filter((folder) => existsSync(folder))).toEqual([])
  })
}

describe('the watchdog', () => {
  it('kills the servers of a test process that dies by SIGKILL, and removes their folders', async () => {
    const { child, exited, held } = await hold('redis', 'mariadb', 'pausedRedis')
    expect(held.pids).toHaveLength(3)
    expect(held.pids.every(isAlive)).toBe(true)
    expect(held.folders.every((folder) => existsSync(folder))).toBe(true)
    child.kill('SIGKILL')
    await exited
    await expectGone(held)
  })

  it('does the same when the test process just ends, which forgotten servers do not hinder', async () => {
    const { child, exited, held } = await hold('redis')
    child.stdin.end()
    await exited
    await expectGone(held)
  })
})
