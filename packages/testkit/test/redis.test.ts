import { existsSync } from 'node:fs'
import { Redis } from 'ioredis'
import { afterEach, describe, expect, it } from 'vitest'
import { freePort, isAlive, processState, type RedisServer, startRedis } from '../src/index.js'

const clients: Redis[] = []

function client({ host, port }: { host: string; port: number }) {
  const redis = new Redis({ host, port, maxRetriesPerRequest: null, retryStrategy: () => 20 })
  redis.on('error', () => {})
  clients.push(redis)
  return redis
}

afterEach(() => {
  for (const redis of clients.splice(0)) redis.disconnect()
})

describe('a private Redis', () => {
  it('serves on the port it says, as the process it says', async () => {
    await using redis = await startRedis()
    expect(redis.url()).toBe(`redis://127.0.0.1:${redis.port}`)
    expect(await client(redis).info('server')).toContain(`process_id:${redis.pid}\r\n`)
  })

  it('keeps its data over a restart and loses them by restartEmpty, on the same port', async () => {
    await using redis = await startRedis()
    const { port, pid } = redis
    await client(redis).set('city', 'Lisbon')
    await redis.restart()
    expect(redis.pid).not.toBe(pid)
    expect(await client(redis).get('city')).toBe('Lisbon')
    await redis.restartEmpty()
    expect(redis.port).toBe(port)
    expect(await client(redis).get('city')).toBeNull()
  })

  it('keeps every write over a SIGKILL when durable', async () => {
    await using redis = await startRedis({ durable: true })
    await client(redis).set('city', 'Lisbon')
    await redis.kill()
    await redis.restart()
    expect(await client(redis).get('city')).toBe('Lisbon')
  })

  it('answers nothing while paused, and all of it afterwards', async () => {
    await using redis = await startRedis()
    const connection = client(redis)
    await connection.ping()
    await redis.pause()
    expect(processState(redis.pid)).toBe('T')
    let answered = false
    const late = connection.ping().then(() => {
      answered = true
    })
    // A connection of another process is accepted by the kernel alone, and the event loop has turned for it.
    await new Promise((resolve) => client(redis).once('connect', resolve))
    expect(answered).toBe(false)
    await redis.resume()
    await late
    expect(answered).toBe(true)
  })

  it('stops gracefully even when paused, and is gone after a kill', async () => {
    await using redis = await startRedis()
    const first = redis.pid
    await redis.pause()
    await redis.stop()
    expect(isAlive(first)).toBe(false)
    expect(redis.log()).toContain('ready to exit, bye bye')
    expect(() => redis.pid).toThrow('redis does not run')
    await redis.restart()
    const second = redis.pid
    await redis.kill()
    expect(isAlive(second)).toBe(false)
    await redis.kill()
    await redis.stop()
  })

  it('takes more arguments, and tells what the server said when it does not start', async () => {
    await using redis = await startRedis({ args: ['--maxmemory', '7mb'] })
    expect(await client(redis).config('GET', 'maxmemory')).toEqual(['maxmemory', String(7 * 1024 * 1024)])
    await expect(startRedis({ args: ['--no-such-option', '1'] })).rejects.toThrow(
      /redis did not start[\s\S]*no-such-option/,
    )
  })

  it('asks for a password when it has one, which its URL says', async () => {
    await using redis = await startRedis({ password: 'p@ss/word' })
    const nobody = client(redis)
    await expect(nobody.get('city')).rejects.toThrow('NOAUTH')
    const somebody = new Redis(redis.url(), { retryStrategy: () => null })
    clients.push(somebody)
    expect(await somebody.set('city', 'Lisbon')).toBe('OK')
    expect(await redis.command('GET', 'city')).toBe('Lisbon')
  })

  it('never shares a port, however many start at once', async () => {
    const servers: RedisServer[] = await Promise.all(Array.from({ length: 8 }, () => startRedis()))
    expect(new Set(servers.map(({ port }) => port)).size).toBe(8)
    await Promise.all(servers.map((each) => each[Symbol.asyncDispose]()))
    expect(servers.some(({ folder }) => existsSync(folder))).toBe(false)
  })

  it('refuses a given port that is taken, rather than answer for another server', async () => {
    const port = await freePort()
    await using first = await startRedis({ port })
    expect(first.port).toBe(port)
    await expect(startRedis({ port })).rejects.toThrow(
      /did not start on port \d+:[\s\S]*Address already in use/,
    )
  })
})
