import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'

/** Runs a fixture as a program of its own, to its end. A program that hangs is killed, and fails. */
async function run(fixture: string, ...args: string[]): Promise<{ code: number | null; out: string }> {
  const file = fileURLToPath(new URL(`../fixtures/${fixture}`, import.meta.url))
  const child = spawn(process.execPath, [file, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
    timeout: 100_000,
    killSignal: 'SIGKILL',
  })
  let out = ''
  child.stdout.setEncoding('utf8').on('data', (text) => {
    out += text
  })
  const [code] = await once(child, 'close')
  return { code: code as number | null, out }
}

describe('a program of its own', () => {
  it('ends by itself with idle threads, unclosed, as ESM', async () => {
    expect(await run('ends.mjs')).toEqual({ code: 0, out: 'done 3 idle 1\n' })
  })

  it('ends by itself with idle threads, unclosed, as CommonJS', async () => {
    expect(await run('ends.cjs')).toEqual({ code: 0, out: 'done 3 idle 1\n' })
  })

  it('stays until its tasks are done', async () => {
    expect(await run('stays.mjs')).toEqual({ code: 0, out: 'running\nfinished\n' })
  })

  it('survives threads that exit, crash and run out of memory', async () => {
    expect(await run('survives.mjs')).toEqual({
      code: 0,
      out: 'ERR_OFFLOAD_EXIT\nERR_OFFLOAD_CRASH\nERR_OFFLOAD_CRASH\nERR_OFFLOAD_MEMORY\nalive\n',
    })
  })

  it('soak: a thousand calls that end in every way settle once each, and leave nothing behind', {
    timeout: 110_000,
  }, async () => {
    const { code, out } = await run('soak.mjs', '1000')
    expect(code).toBe(0)
    const { mostThreads, maxThreads, ...seen } = JSON.parse(out)
    expect(seen).toMatchObject({
      settled: 1_000,
      counted: 1_000,
      unexpected: [],
      ranTwice: 0,
      notRun: 0,
      aliveAfterClose: 0,
    })
    expect(seen.marked).toBeGreaterThan(100)
    expect(mostThreads).toBeLessThanOrEqual(maxThreads)
  })
})
