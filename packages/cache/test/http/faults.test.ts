import { FRAMEWORKS, FRAMEWORKS_HTTP2 } from '@spillway/kit/testing'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { channels } from '../../src/channels.js'
import { heardOn } from '../channel-ear.js'
import { raw } from './middlewares.js'
import { behind } from './stand.js'

/** A failure of the cache itself is told, and the app goes on without it. */

afterEach(() => void vi.restoreAllMocks())

describe.each([...FRAMEWORKS, ...FRAMEWORKS_HTTP2])('%s', (framework) => {
  const reply = (run: number) => ({ headers: { 'cache-control': 'public, max-age=60' }, body: `run ${run}` })

  it('H22 a request that cannot be watched is answered, and the failure is told', async () => {
    using heard = heardOn(channels.fault)
    vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
    await behind(
      framework,
      {
        reply,
        outside: raw((_req, res) => {
          // What the cache sets, it can set no more.
          Object.defineProperty(res, 'writeHead', {
            value: res.writeHead,
            writable: false,
            configurable: false,
          })
        }),
      },
      async ({ get }) => {
        expect((await get()).text).toBe('run 1')
        expect((await get()).text).toBe('run 2')
      },
    )
    expect(heard.messages).toContainEqual({
      cache: 'cache',
      where: 'capture',
      error: expect.objectContaining({ name: 'TypeError' }),
    })
  })
})
