import { connect } from 'node:net'
import { join } from 'node:path'
import { isAlive } from '@spillway/testkit'
import { describe, expect, it } from 'vitest'
import { folder } from '../folder.js'
import { running } from '../primary.js'

describe('S8 the control socket', () => {
  async function socket(): Promise<{ path: string; pid: number }> {
    const path = join(folder(), 'control.sock')
    const supervisor = await running({ workers: 1, control: path, logs: true })
    return { path, pid: supervisor.app.pid }
  }

  /** Everything that comes back until the other end closes, or a number of lines is there. */
  function say(path: string, text: string, lines = Number.POSITIVE_INFINITY): Promise<string> {
    return new Promise((resolve) => {
      let heard = ''
      const client = connect({ path })
      client.on('data', (data) => {
        heard += data
        if (heard.split('\n').length > lines) client.destroy()
      })
      client.on('error', () => {})
      client.on('close', () => resolve(heard))
      client.write(text)
    })
  }

  it('S8 answers nonsense with an error, and closes on a line without an end', async () => {
    const { path, pid } = await socket()
    const nonsense = [
      '{',
      'null',
      '[]',
      '"stop"',
      '{"command":{}}',
      '{"command":"scale","workers":1e15}',
      '{"command":"scale","workers":"2"}',
      '{"command":"__proto__"}',
      `{"command":"${'x'.repeat(1_000)}"}`,
    ]
    const answers = (await say(path, `${nonsense.join('\n')}\n`, nonsense.length)).trim().split('\n')
    expect(answers.map((each) => JSON.parse(each).ok)).toEqual(nonsense.map(() => false))
    expect(await say(path, 'x'.repeat(1_000_000))).toBe('')
    expect(isAlive(pid)).toBe(true)
    expect(JSON.parse(await say(path, '{"command":"status"}\n', 1))).toMatchObject({ ok: true })
  })

  it('S8 lets go of a client that sends without end, or more than it waits for', async () => {
    const { path } = await socket()
    await say(path, '{"command":"status"}\n'.repeat(100_000))
    expect(JSON.parse(await say(path, '{"command":"status"}\n', 1))).toMatchObject({ ok: true })
    const twice = await say(path, '{"command":"logs"}\n{"command":"logs"}\n', 2)
    expect(
      twice
        .trim()
        .split('\n')
        .map((each) => JSON.parse(each).ok),
    ).toEqual([true, false])
  })
})
