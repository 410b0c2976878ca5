import { fileURLToPath } from 'node:url'
import { type App, eventually, isAlive, spawnApp } from '@spillway/testkit'
import { describe, expect, it, onTestFinished } from 'vitest'

const RUN = new URL('./fixtures/run.mjs', import.meta.url)
const MAIN = fileURLToPath(new URL('../dist/main.js', import.meta.url))

/** A command as `npm start` runs it: in a child of the process that gets the signals. */
function run(...args: string[]): App {
  const app = spawnApp(RUN, { args, env: { PORT: '0', WORKERS: '1' } })
  onTestFinished(async () => {
    // The command has a process group of its own.
    for (const pid of app.tree()) if (isAlive(pid)) process.kill(pid, 'SIGKILL')
    await app[Symbol.asyncDispose]()
  })
  return app
}

describe('npm start', () => {
  it.each(['SIGTERM', 'SIGINT'] as const)(
    'stops the app by a %s that only npm start gets',
    async (signal) => {
      const app = run(MAIN)
      const [, origin] = await app.waitForLine(/^Spillway cities: (https?:\S+)/, { timeout: 150_000 })
      const { pid } = (await (await fetch(`${origin}/healthz`)).json()) as { pid: number }
      app.kill(signal)
      expect(await app.exited).toEqual({ code: 0, signal: null })
      await eventually(() => !isAlive(pid))
    },
  )

  it('gives each signal to the command once, and ends with its exit code', async () => {
    const app = run(
      '--eval',
      `let count = 0
      process.on('SIGTERM', () => console.log('got', ++count) ?? setTimeout(() => process.exit(7), 300))
      setInterval(() => {}, 1_000)
      console.log('up')`,
    )
    await app.waitForLine(/up/)
    process.kill(app.pid, 'SIGTERM')
    expect(await app.exited).toEqual({ code: 7, signal: null })
    expect(app.lines.map(({ text }) => text)).toEqual(['up', 'got 1'])
  })

  it('ends with 128 and the number of the signal that killed the command', async () => {
    const app = run('--eval', "process.kill(process.pid, 'SIGKILL')")
    expect(await app.exited).toEqual({ code: 137, signal: null })
  })
})
