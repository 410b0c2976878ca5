import { describe, expect, it } from 'vitest'
import { ioredisCommands, type RedisArgument, RedisScripts, redisScript } from '../src/redis.js'

/** Real servers answer in the tests of the stores; here the calls are looked at. */

type Call = readonly [name: string, ...args: RedisArgument[]]

function recorder(answer: (...call: Call) => unknown = () => 'OK') {
  const calls: Call[] = []
  const call = async (...given: Call) => {
    calls.push(given)
    return answer(...given)
  }
  return { calls, call }
}

describe('ioredisCommands', () => {
  it('sends built-in commands past autopipelining where the client has them', async () => {
    const { calls, call } = recorder()
    const createBuiltinCommand = (name: string) => ({
      string: (...args: RedisArgument[]) => call(`text ${name}`, ...args),
      buffer: (...args: RedisArgument[]) => call(`bytes ${name}`, ...args),
    })
    const commands = ioredisCommands({ createBuiltinCommand } as object)
    await commands.bytes('get')('a')
    await commands.text('del')('a', 'b')
    expect(calls).toEqual([
      ['bytes get', 'a'],
      ['text del', 'a', 'b'],
    ])
  })

  it('sends them by call and callBuffer otherwise', async () => {
    const { calls, call } = recorder()
    const client = {
      call: (...given: Call) => call('call', ...given),
      callBuffer: (...given: Call) => call('callBuffer', ...given),
    }
    await ioredisCommands(client).bytes('get')('a')
    await ioredisCommands(client).text('del')('a')
    expect(calls).toEqual([
      ['callBuffer', 'get', 'a'],
      ['call', 'del', 'a'],
    ])
  })

  it('knows the prefix of keys', () => {
    expect(ioredisCommands({ options: { keyPrefix: 'app:' } }).keyPrefix).toBe('app:')
    for (const client of [{}, { options: {} }, { options: { keyPrefix: 1 } }]) {
      expect(ioredisCommands(client).keyPrefix).toBe('')
    }
  })
})

describe('RedisScripts', () => {
  const script = redisScript('return 1')

  it('sends the digest, and the text once when the server does not know it', async () => {
    const { calls, call } = recorder((_name, command) => {
      if (command === 'evalsha') throw new Error('NOSCRIPT No matching script')
      return 7
    })
    const scripts = new RedisScripts(ioredisCommands({ call: (...given) => call('call', ...given) }), 'text')
    expect(await scripts.run(script, 1, ['key', 'arg'], (reply) => Number(reply) + 1)).toBe(8)
    expect(calls).toEqual([
      ['call', 'evalsha', 'e0e1f9fabfc9d4800c877a703b823ac0578ff8db', 1, 'key', 'arg'],
      ['call', 'eval', 'return 1', 1, 'key', 'arg'],
    ])
  })

  it('passes on every other error, and what reading the reply throws, without sending again', async () => {
    for (const thrown of [new Error('OOM'), 'NOSCRIPT']) {
      const { calls, call } = recorder(() => {
        throw thrown
      })
      const scripts = new RedisScripts(
        ioredisCommands({ call: (...given) => call('call', ...given) }),
        'text',
      )
      await expect(scripts.run(script, 1, ['key'], String)).rejects.toBe(thrown)
      expect(calls).toHaveLength(1)
    }
    const { calls, call } = recorder()
    const scripts = new RedisScripts(ioredisCommands({ call: (...given) => call('call', ...given) }), 'text')
    const read = () => {
      throw new Error('NOSCRIPT in the reply')
    }
    await expect(scripts.run(script, 1, ['key'], read)).rejects.toThrow('in the reply')
    expect(calls).toHaveLength(1)
  })
})
