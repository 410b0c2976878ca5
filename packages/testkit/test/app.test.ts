import { describe, expect, it } from 'vitest'
import { eventually, freePort, isAlive, processGroup, processTree, rss, spawnApp } from '../src/index.js'

const ENTRY = new URL('fixtures/app.mjs', import.meta.url)

describe('an app in its own process', () => {
  it('is told arguments and environment, and its lines are collected', async () => {
    const port = await freePort()
    await using app = spawnApp(ENTRY, { args: ['one', 'two'], env: { COLOUR: 'red', PORT: String(port) } })
    await app.waitForLine(/^ready$/)
    await app.waitForPort(port)
    expect((await app.waitForLine(/^args (.*)/))[1]).toBe('one two')
    await app.waitForLine(/env red/)
    expect(app.output('stderr')).toBe('env red')
    expect(app.alive()).toBe(true)
    expect(rss(app.pid)).toBeGreaterThan(10_000_000)
    expect(app.kill()).toBe(true)
    expect(await app.exited).toEqual({ code: 0, signal: null })
    expect(app.output('stdout')).toBe('args one two\nready\nbye')
    expect(app.alive()).toBe(false)
    expect(app.kill()).toBe(false)
  })

  it('says how it ended when it ends early, with what it printed', async () => {
    await using app = spawnApp(ENTRY, { args: ['fail'] })
    await expect(app.waitForLine(/ready/)).rejects.toThrow(
      /It ended \(3\) without a line like \/ready\/:[\s\S]*about to fail/,
    )
    expect(await app.exited).toEqual({ code: 3, signal: null })
  })

  it('tells what it printed when a line does not come', async () => {
    await using app = spawnApp(ENTRY)
    await app.waitForLine(/ready/)
    await expect(app.waitForLine(/never/, { timeout: 50 })).rejects.toThrow(/Not within 50 ms[\s\S]*ready/)
    await expect(app.waitForLine(/ready/, { timeout: 50, since: app.lines.length })).rejects.toThrow(
      /Not within/,
    )
  })

  it('talks over IPC', async () => {
    await using app = spawnApp(ENTRY, { ipc: true })
    await app.waitForLine(/ready/)
    app.send({ question: 1 })
    const isEcho = (message: unknown): message is { echo: unknown } =>
      typeof message === 'object' && message !== null && 'echo' in message
    expect(await app.waitForMessage(isEcho)).toEqual({ echo: { question: 1 } })
  })

  it('shows an orphan when only the parent is killed, and leaves none behind', async () => {
    const app = spawnApp(ENTRY, { args: ['child'] })
    const child = Number((await app.waitForLine(/^child (\d+)/))[1])
    await app.waitForLine(/ready/)
    expect(processTree(app.pid)).toEqual([app.pid, child])
    app.kill('SIGKILL')
    expect(await app.exited).toEqual({ code: null, signal: 'SIGKILL' })
    expect(isAlive(child)).toBe(true)
    expect(processGroup(app.pid)).toEqual([child])
    await app[Symbol.asyncDispose]()
    await eventually(() => !isAlive(child))
  })
})
