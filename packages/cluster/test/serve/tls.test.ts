import { readFileSync, writeFileSync } from 'node:fs'
import { type ClientHttp2Session, connect } from 'node:http2'
import { eventually } from '@spillway/testkit'
import { describe, expect, it } from 'vitest'
import { WebSocket } from 'ws'
import { certificate, commonName } from '../certificate.js'
import { PATIENCE, type Primary, patiently, running } from '../primary.js'
import { reloads } from '../reloads.js'

async function secure(
  env: Record<string, string> = {},
): Promise<{ supervisor: Primary; port: number; files: { key: string; cert: string } }> {
  const files = certificate('first')
  const supervisor = await running({}, { env: { TLS_KEY: files.key, TLS_CERT: files.cert, ...env } })
  return { supervisor, files, port: (await supervisor.until('listening')).port }
}

/** One client that asks over a session until it is told to go away, then over the next one. */
class Http2Client {
  sessions = 0
  readonly answers: string[] = []
  readonly #origin: string
  #session: ClientHttp2Session | undefined

  constructor(origin: string) {
    this.#origin = origin
  }

  ask(path: string): Promise<void> {
    const session = (this.#session ??= this.#open())
    return new Promise((resolve, reject) => {
      let body = ''
      session
        .request({ ':path': path })
        .setEncoding('utf8')
        .on('data', (text: string) => {
          body += text
        })
        .once('end', () => {
          this.answers.push(body)
          resolve()
        })
        .once('error', reject)
    })
  }

  close(): void {
    this.#session?.close()
  }

  #open(): ClientHttp2Session {
    const session = connect(this.#origin, { rejectUnauthorized: false })
    this.sessions++
    session.on('goaway', () => {
      if (this.#session === session) this.#session = undefined
    })
    return session
  }
}

describe('HTTPS under a supervisor', () => {
  it('K3 K4 K5 K6 loses nothing in reloads over fresh and keep-alive connections', async () => {
    const { key, cert } = certificate('load')
    expect(await reloads('3', key, cert)).toMatchObject({ failed: 0, failures: [], problems: [] })
  })

  it('K36 takes a new certificate in every worker, without a fork', async () => {
    const { supervisor, files, port } = await secure()
    expect(await commonName(port)).toBe('first')
    const next = certificate('second')
    writeFileSync(files.key, readFileSync(next.key))
    writeFileSync(files.cert, readFileSync(next.cert))
    await patiently(async () => {
      const names = await Promise.all(Array.from({ length: 8 }, () => commonName(port)))
      return names.every((name) => name === 'second')
    })
    expect(supervisor.of('fork')).toHaveLength(2)
  })

  it('K6 moves HTTP/2 clients by GOAWAY: no stream is lost, and they end up with the new workers', async () => {
    const { supervisor, port } = await secure({ HTTP2: '1' })
    const client = new Http2Client(`https://127.0.0.1:${port}`)
    let reloading = true
    const asking = (async () => {
      while (reloading) await Promise.all([client.ask('/slow?wait=150'), client.ask('/slow?wait=20')])
      await client.ask('/env?name=SPILLWAY_GENERATION')
      client.close()
    })()
    await eventually(() => client.answers.length > 4, { timeout: PATIENCE })
    expect(await supervisor.call('reload')).toMatchObject({ ok: true, forced: 0 })
    reloading = false
    await asking
    expect(client.answers.pop()).toBe('2')
    expect(new Set(client.answers)).toEqual(new Set(['slow']))
    expect(client.sessions).toBeGreaterThan(1)
    expect((await supervisor.call('stats')).drains).toEqual({ clean: 2, forced: 0, lost: 0 })
  })

  it('K6 says 1001 to WebSockets over TLS', async () => {
    const { supervisor, port } = await secure()
    const socket = new WebSocket(`wss://127.0.0.1:${port}/ws`, { rejectUnauthorized: false })
    const closed = new Promise<number>((resolve) => socket.once('close', resolve))
    await new Promise((resolve) => socket.once('message', resolve))
    expect(await supervisor.call('reload')).toMatchObject({ ok: true, forced: 0 })
    expect(await closed).toBe(1001)
  })
})
