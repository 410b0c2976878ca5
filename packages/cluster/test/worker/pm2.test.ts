import { expect, it } from 'vitest'
import { running } from '../primary.js'

const PM2 = { exec: './pm2.cjs', workers: 1, waitForReady: true, shutdownMessage: true }

it('takes process.send("ready") for readiness, not the port that listens before', async () => {
  const supervisor = await running(PM2)
  const order = supervisor.app.lines.map(({ text }) => text)
  expect(order.indexOf('warm')).toBeGreaterThan(-1)
  expect(order.indexOf('warm')).toBeLessThan(order.findIndex((text) => text.startsWith('{"type":"ready"')))
})

it('says "shutdown" to a worker that has drained, which then cleans up and ends by itself', async () => {
  const supervisor = await running(PM2)
  expect(await supervisor.call('reload')).toMatchObject({ ok: true, replaced: 1, forced: 0 })
  supervisor.app.kill('SIGTERM')
  expect(await supervisor.app.exited).toEqual({ code: 0, signal: null })
  expect(supervisor.app.lines.filter(({ text }) => text === 'cleaned up')).toHaveLength(2)
})
