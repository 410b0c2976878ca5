import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Frame, idOf, readFrame, writeFrame } from '../../src/entry/frame.js'
import type { BusListener, CacheStore, Lease, Tier } from '../../src/index.js'
import { single } from '../load/waiting.js'

export interface Subject {
  /** Two stores on the same server, as two processes would have them. */
  readonly stores: readonly [CacheStore, CacheStore]
  close?(): unknown
}

const NO_TAGS: readonly string[] = ['all', '0']

function frame(text: string): Buffer {
  const now = Date.now()
  const times = { created: now, freshUntil: now + 1e4, swrUntil: now + 1e4, staleUntil: now + 1e4, loadMs: 3 }
  return writeFrame({ codec: 2, payload: Buffer.from(text) }, times, NO_TAGS, false)
}

function textOf(bytes: Buffer | undefined): string | undefined {
  return bytes && (readFrame(bytes, 1_000) as Frame).payload.toString()
}

export function heard(): BusListener & { readonly messages: string[]; readonly ready: Promise<void> } {
  const messages: string[] = []
  let healed = () => {}
  const ready = new Promise<void>((resolve) => {
    healed = resolve
  })
  return { messages, ready, message: (text) => messages.push(text), gap() {}, healed }
}

let count = 0

/** What every store does; run by each store's test. */
export function storeContract(name: string, make: () => Promise<Subject>): void {
  describe(`${name} keeps the contract of stores`, () => {
    let subject: Subject
    let a: Tier
    let b: Tier
    const tiers: Tier[] = []
    const open = (node: 0 | 1, namespace: string) => {
      const tier = single(subject.stores[node].open(namespace))
      tiers.push(tier)
      return tier
    }

    beforeAll(async () => {
      subject = await make()
      const namespace = `contract${count++}`
      a = open(0, namespace)
      b = open(1, namespace)
      await Promise.all([a.opened(), b.opened()])
    })
    afterAll(async () => {
      for (const tier of tiers) await tier.close()
      await subject?.close?.()
    })
    const acquired = async (tier: Tier, key: string, token: string, seen = ''): Promise<Lease> => {
      const lease = await tier.acquire(key, token, 5_000, seen)
      expect(lease).toBeTypeOf('object')
      return lease as Lease
    }

    it('finds nothing where nothing is, and makes epochs once', async () => {
      expect(await a.read('nothing', ['#none'])).toEqual({ frame: undefined, epochs: [undefined] })
      const [made] = await a.epochs(['#t1'])
      expect(made!.age).toBe(Number.POSITIVE_INFINITY)
      const [again] = await b.epochs(['#t1'])
      expect(again!.value).toBe(made!.value)
      expect(again!.age).toBeLessThan(60_000)
      expect((await b.read('nothing', ['#t1', '#none'])).epochs).toEqual([made!.value, undefined])
    })

    it('never takes an epoch for older than it is, not by a fraction of a millisecond', async () => {
      for (let round = 0; round < 100; round++) {
        const begun = performance.now()
        await a.bump('#young', 'm')
        while (performance.now() - begun < round / 40) await new Promise(setImmediate)
        const [epoch] = await b.epochs(['#young'])
        expect(epoch!.age).toBeLessThanOrEqual(performance.now() - begun)
      }
    })

    it('keeps bytes as they are, for all to see', async () => {
      const bytes = frame('\u0000\r\nGrüße\uffff')
      await a.write('bytes', bytes, 10_000, 'm')
      expect((await b.read('bytes', [])).frame).toEqual(bytes)
    })

    it('keeps odd keys apart', async () => {
      const keys = [
        '',
        ' ',
        'a b',
        'a\nb',
        '{',
        '}',
        '{a}b',
        '__proto__',
        'constructor',
        '\ud800',
        '\ud801',
        'ü',
        '%',
      ]
      keys.push('x'.repeat(10_000), `${'x'.repeat(9_999)}y`, '\u0001["u",1', 'a:lease', '%20')
      await Promise.all(keys.map((key, i) => a.write(key, frame(String(i)), 10_000, 'm')))
      const { frames } = await b.readMany(keys, ['all'])
      expect(frames.map(textOf)).toEqual(keys.map((_, i) => String(i)))
      await a.remove(keys, 'm')
      expect((await b.readMany(keys, [])).frames.every((found) => found === undefined)).toBe(true)
    })

    it('gives one lease at a time, and writes under it only', async () => {
      const lease = await acquired(a, 'k', 'one')
      expect(await b.acquire('k', 'two', 5_000, '')).toBe('busy')
      expect(await a.renew(lease, 5_000)).toBe(true)
      expect(await b.commit({ ...lease, token: 'two' }, frame('wrong'), 10_000, 'm')).toBe(false)
      expect(await a.commit(lease, frame('right'), 10_000, 'm')).toBe(true)
      expect(textOf((await b.read('k', [])).frame)).toBe('right')
      expect(await a.commit(lease, frame('late'), 10_000, 'm')).toBe(false)
      expect(await a.renew(lease, 5_000)).toBe(false)
    })

    it('gives a lease only to who has seen what stands there', async () => {
      await a.write('seen', frame('new'), 10_000, 'm')
      expect(await b.acquire('seen', 't', 5_000, '')).toBe('changed')
      const { frame: bytes } = await b.read('seen', [])
      const lease = await acquired(b, 'seen', 't', idOf(bytes!))
      expect(await b.commit(lease, frame('newer'), 10_000, 'm')).toBe(true)
      expect(textOf((await a.read('seen', [])).frame)).toBe('newer')
    })

    it('takes a lease back, so that the next may have it', async () => {
      const lease = await acquired(a, 'given back', 'one')
      await b.release({ ...lease, token: 'foreign' })
      expect(await b.acquire('given back', 'two', 5_000, '')).toBe('busy')
      await a.release(lease)
      await acquired(b, 'given back', 'two')
    })

    it.each(['remove', 'write'] as const)('lets a %s void the lease: it is a fence', async (what) => {
      const key = `fence ${what}`
      const lease = await acquired(a, key, 'one')
      if (what === 'remove') await b.remove([key], 'm')
      else await b.write(key, frame('written'), 10_000, 'm')
      expect(await a.commit(lease, frame('old'), 10_000, 'm')).toBe(false)
      expect(textOf((await b.read(key, [])).frame)).toBe(what === 'remove' ? undefined : 'written')
    })

    it('lets the removal of many void their leases', async () => {
      const keys = ['many 1', 'many 2', 'many 3']
      const leases = await Promise.all(keys.map((key) => acquired(a, key, 'one')))
      await b.remove(keys, 'm')
      for (const lease of leases) expect(await a.commit(lease, frame('old'), 10_000, 'm')).toBe(false)
    })

    it('gives an epoch a value that never was before', async () => {
      const values = new Set<string>()
      for (let i = 0; i < 20; i++) {
        values.add((await a.epochs(['#bumped']))[0]!.value)
        await (i % 2 ? a : b).bump('#bumped', 'm')
      }
      expect(values.size).toBe(20)
    })

    it('keeps namespaces apart', async () => {
      const other = open(0, `contract${count++}`)
      await other.opened()
      await a.write('mine', frame('mine'), 10_000, 'm')
      expect((await other.read('mine', [])).frame).toBe(undefined)
      await other.bump('all', 'm')
      expect((await other.epochs(['all']))[0]!.value).not.toBe((await a.epochs(['all']))[0]!.value)
    })

    it('forgets what has expired, also in less than a second', async () => {
      await a.write('short', frame('short'), 30, 'm')
      await expect.poll(async () => (await a.read('short', [])).frame, { timeout: 5_000 }).toBe(undefined)
    })

    it('lets a lease run out', async () => {
      expect(await a.acquire('abandoned', 'dead', 30, '')).toBeTypeOf('object')
      await expect
        .poll(async () => await b.acquire('abandoned', 'next', 5_000, ''), { timeout: 5_000 })
        .toBeTypeOf('object')
    })

    it('tells all nodes, when it has a bus', async () => {
      if (a.listen === undefined || b.listen === undefined) return
      const [atA, atB] = [heard(), heard()]
      a.listen(atA)
      b.listen(atB)
      await Promise.all([atA.ready, atB.ready])
      const lease = await acquired(a, 'told', 'one')
      await a.commit(lease, frame('x'), 10_000, 'commit')
      await a.write('told', frame('x'), 10_000, 'write')
      await b.remove(['told'], 'remove')
      await b.remove(['told', 'told 2'], 'remove many')
      await a.bump('#told', 'bump')
      const all = ['commit', 'write', 'remove', 'remove many', 'bump']
      await expect.poll(() => atB.messages.toSorted(), { timeout: 5_000 }).toEqual(all.toSorted())
      await expect.poll(() => atA.messages.toSorted(), { timeout: 5_000 }).toEqual(all.toSorted())
    })
  })
}
