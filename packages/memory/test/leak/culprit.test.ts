import { stat } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { spawnApp } from '@spillway/testkit'
import { describe, expect, it } from 'vitest'
import type { Leak } from '../../src/index.js'
import { scratch } from '../scratch.js'

const fixture = fileURLToPath(new URL('../fixtures/three-leaks.mjs', import.meta.url))
const PATIENCE = 240_000

interface Verdict {
  readonly leak: Leak
  readonly text: string
}

function isVerdict(message: unknown): message is Verdict {
  return typeof message === 'object' && message !== null && 'leak' in message
}

/** Asks for a route of the app until it has called the leak. */
async function leakOf(route: string, directory: string): Promise<Verdict> {
  await using app = spawnApp(fixture, { args: [directory], ipc: true })
  const [, origin] = await app.waitForLine(/Listening on (.+)/, { timeout: PATIENCE })
  let called = false
  const verdict = app.waitForMessage(isVerdict, { timeout: PATIENCE }).finally(() => {
    called = true
  })
  const visits = Array.from({ length: 4 }, async () => {
    while (!called) await (await fetch(`${origin}${route}`)).text()
  })
  const [found] = await Promise.all([verdict, ...visits])
  return found
}

describe('the three leaks of the tutorial, over HTTP', () => {
  it('a closure: who made it and the array that holds it', { timeout: PATIENCE }, async () => {
    await using directory = await scratch()
    const { leak, text } = await leakOf('/closure', directory.path)
    expect(leak).toMatchObject({ kind: 'heap', state: 'confirmed' })
    expect(leak.sites[0]?.place).toContain('three-leaks.mjs')
    expect(leak.diff?.holders.map(({ path }) => path.join(' > ')).join('\n')).toMatch(/audit: Array/)
    expect(text).toContain('LEAK: heap grows')
    expect(text).toContain('three-leaks.mjs')
    for (const file of leak.files) expect((await stat(file)).mode & 0o777).toBe(0o600)
    expect(leak.files.map((file) => file.replace(/.*\./, '')).sort()).toEqual([
      'heapprofile',
      'heapsnapshot',
      'heapsnapshot',
    ])
  })

  it('a listener: the class and the emitter that holds it', { timeout: PATIENCE }, async () => {
    await using directory = await scratch()
    const { leak } = await leakOf('/listener', directory.path)
    expect(leak).toMatchObject({ kind: 'heap', state: 'confirmed' })
    expect(leak.sites[0]?.place).toContain('three-leaks.mjs')
    expect(leak.diff?.grown.slice(0, 3).map(({ name }) => name)).toContain('Basket')
    const basket = leak.diff?.holders.find(({ name }) => name === 'Basket')
    expect(basket?.path.join(' > ')).toMatch(/prices: EventEmitter > _events: .* > change: Array/)
    expect(basket?.share).toBeGreaterThan(0.9)
  })

  it('a Buffer: the kind says that no heap is to blame', { timeout: PATIENCE }, async () => {
    await using directory = await scratch()
    const { leak } = await leakOf('/buffer', directory.path)
    expect(leak).toMatchObject({ kind: 'external', state: 'confirmed' })
    expect(leak.bytesPerRequest! / 20_000).toBeCloseTo(1, 0)
    expect(leak.sites[0]?.place).toContain('three-leaks.mjs')
  })
})
