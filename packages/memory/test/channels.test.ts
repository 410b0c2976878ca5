import diagnosticsChannel from 'node:diagnostics_channel'
import { until } from '@spillway/kit/testing'
import { afterEach, expect, it } from 'vitest'
import { scratch } from './scratch.js'
import { closeAll, FakeSystem, GB, MB, stand } from './support.js'

afterEach(closeAll)

/** Everything that is published on a channel from now on, until the end of the block. */
function hear(name: string): { readonly messages: unknown[] } & Disposable {
  const messages: unknown[] = []
  const listener = (message: unknown) => void messages.push(message)
  diagnosticsChannel.subscribe(name, listener)
  return { messages, [Symbol.dispose]: () => void diagnosticsChannel.unsubscribe(name, listener) }
}

it('spillway:memory:level tells of each change, with its reasons', () => {
  using heard = hear('spillway:memory:level')
  const { system, pass } = stand({ replacement: false })
  system.usage.rss = system.ram
  pass(1_000)
  system.usage.rss = MB
  pass(4_000)
  expect(heard.messages).toEqual([
    {
      level: 'critical',
      from: 'ok',
      reasons: [expect.objectContaining({ signal: 'memory', value: 8 * GB })],
    },
    { level: 'ok', from: 'critical', reasons: [] },
  ])
})

it('spillway:memory:replace tells of each request, with the signals that ask', () => {
  using heard = hear('spillway:memory:replace')
  const { system, pass } = stand({ replacement: () => {} })
  system.usage.rss = system.ram
  system.usage.external = system.ram
  pass(1_000)
  expect(heard.messages).toEqual([{ reason: 'memory', signals: ['memory', 'external'] }])
})

it('spillway:memory:leak tells of the suspicion and of the verdict', () => {
  using heard = hear('spillway:memory:leak')
  const { monitor, system, clock } = stand({ leak: { warmup: '10s', minRequests: 0, profile: false } })
  for (let second = 0; second < 600; second++) {
    if (second % 10 === 0) system.liveSizes.push({ heap: (30 + second * 0.1) * MB, external: MB })
    clock.advance(1_000)
    monitor.sample()
  }
  expect(heard.messages).toEqual(
    ['suspected', 'confirmed'].map((state) => ({
      kind: 'heap',
      state,
      confidence: expect.any(Number),
      bytesPerHour: expect.closeTo(0.1 * MB * 3_600, -6),
    })),
  )
})

it('spillway:memory:snapshot tells of each file, and not where it is', { timeout: 60_000 }, async () => {
  await using directory = await scratch()
  using heard = hear('spillway:memory:snapshot')
  const system = new FakeSystem()
  system.ram = 64 * GB
  const { monitor } = stand({ snapshot: { directory: directory.path } }, system)
  await monitor.snapshot('by hand')
  await until(() => heard.messages.length === 1, 'the message')
  expect(heard.messages).toEqual([
    { reason: 'by hand', bytes: '{"snapshot":{}}'.length, milliseconds: expect.any(Number) },
  ])
})
