import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { get, running } from '../primary.js'

const FAILING_ACCEPT = fileURLToPath(new URL('../fixtures/failing-accept.cjs', import.meta.url))

it('K35 gives all connections of an address to one worker, and to its replacement after a reload', async () => {
  const supervisor = await running({
    exec: './sticky.mjs',
    workers: 3,
    sticky: { port: 0, host: '127.0.0.1' },
  })
  const url = await supervisor.url()
  const ask = async () => new Set(await Promise.all(Array.from({ length: 6 }, () => get(url))))
  const before = await ask()
  expect(before.size).toBe(1)
  expect(await supervisor.call('reload')).toMatchObject({ ok: true })
  const after = await ask()
  expect(after.size).toBe(1)
  const [[slot, pid], [slotAfter, pidAfter]] = [[...before][0]!.split(' '), [...after][0]!.split(' ')]
  expect(slotAfter).toBe(slot)
  expect(pidAfter).not.toBe(pid)
})

it('K53 a sticky supervisor that cannot accept clients lives, and accepts them when it can again', async () => {
  const supervisor = await running(
    { exec: './sticky.mjs', execArgv: [], sticky: { port: 0, host: '127.0.0.1' } },
    { execArgv: ['--require', FAILING_ACCEPT] },
  )
  const url = await supervisor.url()
  for (const code of ['ENFILE', 'ENOMEM', 'ECONNABORTED']) {
    await supervisor.call('env', { FAIL_ACCEPT: code })
    for (let i = 0; i < 3; i++) await expect(get(url)).rejects.toThrow()
  }
  await supervisor.call('env', { FAIL_ACCEPT: '' })
  expect(await get(url)).toMatch(/^[12] \d+$/)
  expect(supervisor.of('exit')).toEqual([])
})
