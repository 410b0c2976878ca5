import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { credentials, makeClientConstructor } from '@grpc/grpc-js'
import { eventually, freePort, startNginx } from '@spillway/testkit'
import { describe, expect, it, onTestFinished } from 'vitest'
import { type Primary, patiently, running } from '../primary.js'

/** The long form: RELOADS=100 npx vitest run test/handover.test.ts */
const RELOADS = Number(process.env.RELOADS ?? 3)

class Client {
  readonly socket: Socket
  text = ''
  closed = false

  constructor(port: number) {
    this.socket = connect(port, '127.0.0.1').setEncoding('latin1').setNoDelay()
    this.socket.on('data', (text) => {
      this.text += text
    })
    this.socket.on('error', () => {})
    this.socket.on('close', () => {
      this.closed = true
    })
    onTestFinished(() => void this.socket.destroy())
  }

  say(text: string): void {
    this.socket.write(text, 'latin1')
  }

  heard(pattern: RegExp): Promise<RegExpExecArray> {
    return patiently(async () => {
      const found = pattern.exec(this.text)
      if (found === null) throw new Error(`heard: ${this.text.slice(-500)}`)
      return found
    })
  }

  async get(path: string): Promise<string> {
    this.text = ''
    this.say(`GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`)
    const [, body] = await this.heard(/\r\n\r\n(.+)$/s)
    return body ?? ''
  }
}

async function portOf(supervisor: Primary): Promise<number> {
  return (await supervisor.until('listening')).port
}

/** A replacement is there, so a worker has begun to leave. */
async function leaving(supervisor: Primary): Promise<void> {
  await patiently(async () => {
    const { workers } = await supervisor.call('stats')
    expect(workers.map(({ state }: { state: string }) => state)).toContain('draining')
  })
}

function captured(supervisor: Primary): string[] {
  return supervisor.app.lines.map(({ text }) => text).filter((text) => text.includes('captured'))
}

const ADMIN = 'GET /admin/delete-all HTTP/1.1\r\nHost: a\r\n\r\n'

describe('a hand-over', () => {
  it.each([
    ['of a known length', (body: string) => [`Content-Length: ${body.length}`, body]],
    [
      'in chunks',
      (body: string) => ['Transfer-Encoding: chunked', `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`],
    ],
  ])('S1 K51 takes the rest of a body %s for a body, whenever it comes', async (_name, encode) => {
    const supervisor = await running({ exec: './early.mjs' })
    const port = await portOf(supervisor)
    const clients = [401, 404, 413].map((status) => ({ client: new Client(port), status }))
    const [header, body] = encode(ADMIN) as [string, string]
    for (const { client, status } of clients) {
      client.say(`POST /early/${status} HTTP/1.1\r\nHost: a\r\n${header}\r\n\r\n`)
      if (status === 404) client.say(body.slice(0, 7))
      await client.heard(new RegExp(`${status}.*early`, 's'))
    }
    const reload = supervisor.call('reload')
    // Its replacement is there, so it has begun to leave.
    await leaving(supervisor)
    for (const { client, status } of clients) client.say(status === 404 ? body.slice(7) : body)
    for (const { client } of clients) expect(await client.get('/hello')).toBe('hello nobody')
    expect(await reload).toMatchObject({ ok: true, forced: 0 })
    for (const { client } of clients) expect(await client.get('/hello')).toBe('hello nobody')
    expect(captured(supervisor)).toEqual([])
  })

  it.each([
    ['after an answer', ['GET /pid HTTP/1.1\r\nHost: a\r\n\r\n', 'GET /pid HTTP/1.1\r\nHos']],
    ['in a pipeline', ['GET /pid HTTP/1.1\r\nHost: a\r\n\r\nGET /pid HTTP/1.1\r\nHos', '']],
  ])(
    'K56 leaves half a head %s where it is until its request is answered',
    async (_name, [first, second]) => {
      const supervisor = await running({ exec: './early.mjs', workers: 1 })
      const client = new Client(await portOf(supervisor))
      client.say(first ?? '')
      const [, pid] = await client.heard(/\r\n\r\n(\d+)$/)
      client.text = ''
      client.say(second ?? '')
      const reload = supervisor.call('reload')
      await leaving(supervisor)
      client.say('t: a\r\n\r\n')
      expect((await client.heard(/\r\n\r\n(\d+)$/))[1]).toBe(pid)
      expect(await reload).toMatchObject({ ok: true, forced: 0 })
      expect(await client.get('/pid')).not.toBe(pid)
    },
  )

  it('S1 behind nginx with kept connections, captures no request of another visitor', {
    timeout: 60_000 + RELOADS * 10_000,
  }, async () => {
    const supervisor = await running({ exec: './early.mjs' })
    const upstream = await portOf(supervisor)
    const nginx = await startNginx(
      ({ host, port }) => `
        upstream app { server 127.0.0.1:${upstream}; keepalive 8; }
        server {
          listen ${host}:${port};
          client_max_body_size 10m;
          location / {
            proxy_pass http://app;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
          }
        }`,
    )
    onTestFinished(() => nginx.stop())
    // More than one read takes; blank lines before a request are skipped, so it counts wherever the cut is.
    const body =
      '\r\n'.repeat(40_000) +
      ADMIN.repeat(50) +
      'POST /capture HTTP/1.1\r\nHost: a\r\nContent-Length: 150\r\n\r\n'
    let stopped = false
    const answers = { attacker: 0, victim: 0 }
    const wrong: string[] = []
    const attacker = async () => {
      while (!stopped) {
        const status = await fetch(nginx.url('/early/404'), { method: 'POST', body }).then(
          async (response) => (await response.text()) && response.status,
          () => 0,
        )
        if (status === 404) answers.attacker++
      }
    }
    const victim = async (name: string) => {
      while (!stopped) {
        const response = await fetch(nginx.url('/mine'), { headers: { cookie: `session=${name}` } })
        const text = await response.text()
        if (response.status !== 200 || text !== `hello session=${name}`)
          wrong.push(`${response.status} ${text.slice(0, 200)}`)
        else answers.victim++
      }
    }
    const people = [attacker(), attacker(), attacker(), victim('a'), victim('b'), victim('c')]
    for (let i = 0; i < RELOADS; i++) expect(await supervisor.call('reload')).toMatchObject({ ok: true })
    stopped = true
    await Promise.all(people)
    if (RELOADS > 10) console.log(answers)
    expect(captured(supervisor)).toEqual([])
    expect(wrong).toEqual([])
    expect(answers.attacker).toBeGreaterThan(0)
    expect(answers.victim).toBeGreaterThan(0)
  })

  it('S2 closes a connection whose listener is nowhere any more, after each worker was asked once', async () => {
    const [first, second] = [await freePort(), await freePort()]
    const folder = mkdtempSync(join(tmpdir(), 'spillway-moving-'))
    onTestFinished(() => rmSync(folder, { recursive: true }))
    const file = join(folder, 'port')
    writeFileSync(file, String(first))
    const supervisor = await running({ exec: './moving.mjs', workers: 2, env: { PORT_FILE: file } })
    const clients = Array.from({ length: 5 }, () => new Client(first))
    for (const client of clients) expect(await client.get('/')).toBe('ok')
    writeFileSync(file, String(second))
    expect(await supervisor.call('reload')).toMatchObject({ ok: true, forced: 0 })
    await eventually(() => clients.every(({ closed }) => closed))
    expect(await new Client(second).get('/')).toBe('ok')
  })

  const TIMEOUTS = {
    headersTimeout: 400,
    requestTimeout: 800,
    keepAliveTimeout: 700,
    connectionsCheckingInterval: 50,
  }

  describe.each([
    ['round-robin', {}],
    ['sticky', { sticky: { port: 0, host: '127.0.0.1' } }],
  ])('S3 with %s', (_name, options) => {
    it.each([
      ['half a head', 'GET / HTTP/1.1\r\nHos'],
      ['half a body', 'POST /capture HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf'],
      ['nothing', ''],
    ])('ends a connection that stays at %s, also after it was handed over', async (_what, text) => {
      const supervisor = await running({
        exec: './early.mjs',
        ...options,
        env: { TIMEOUTS: JSON.stringify(TIMEOUTS) },
      })
      const port = await portOf(supervisor)
      const fresh = new Client(port)
      fresh.say(text)
      await fresh.heard(/^HTTP\/1\.1 408 /)
      await eventually(() => fresh.closed)

      const kept = new Client(port)
      const pid = await kept.get('/pid')
      kept.text = ''
      const reload = supervisor.call('reload')
      if (text !== '') {
        await patiently(async () => {
          if ((await kept.get('/pid')) === pid) throw new Error('still there')
        })
        kept.text = ''
        kept.say(text)
        await kept.heard(/^HTTP\/1\.1 408 /)
      }
      await eventually(() => kept.closed)
      // An idle client is never sent what it would take for the answer to its next request.
      if (text === '') expect(kept.text).toBe('')
      await reload
    })
  })

  it('S3 sticky: keeps connections of an address on its worker, also when they are handed over', async () => {
    const supervisor = await running({
      exec: './early.mjs',
      workers: 3,
      sticky: { port: 0, host: '127.0.0.1' },
    })
    const port = await portOf(supervisor)
    const clients = Array.from({ length: 8 }, () => new Client(port))
    const ask = async () => new Set(await Promise.all(clients.map((client) => client.get('/pid'))))
    const before = await ask()
    expect(before.size).toBe(1)
    expect(await supervisor.call('reload')).toMatchObject({ ok: true, forced: 0 })
    const after = await ask()
    expect(after.size).toBe(1)
    expect(after).not.toEqual(before)
    expect(clients.filter(({ closed }) => closed)).toEqual([])
  })

  it('K52 leaves connections of other protocols to their process', async () => {
    const supervisor = await running({ exec: './greeting.mjs', workers: 1, drain: { timeout: 60_000 } })
    const port = await portOf(supervisor)
    const [silent, speaking] = [new Client(port), new Client(port)]
    const [, pid] = await silent.heard(/^220 (\d+)\r\n$/)
    await speaking.heard(/^220 \d+\r\n$/)
    speaking.say('HELO\r\n')
    await speaking.heard(/250 \d+\r\n$/)
    const reload = supervisor.call('reload')
    await leaving(supervisor)
    const newcomer = new Client(port)
    await newcomer.heard(/^220 \d+\r\n$/)
    for (const client of [silent, speaking]) {
      client.text = ''
      client.say('NOOP\r\n')
      expect((await client.heard(/^250 (\d+)\r\n$/))[1]).toBe(pid)
      client.say('QUIT\r\n')
      await client.heard(/221 bye\r\n$/)
    }
    expect(await reload).toMatchObject({ ok: true, forced: 0 })
    expect(newcomer.closed).toBe(false)
  })

  it('K50 serves gRPC, unchanged, through two reloads', async () => {
    const { SERVICE } = await import('../fixtures/grpc-service.mjs' as string)
    const supervisor = await running({ exec: './grpc.mjs' })
    const port = await portOf(supervisor)
    const Service = makeClientConstructor(SERVICE, 'test.Service')
    let stopped = false
    const failures: string[] = []
    const done = { ask: 0, list: 0, refuse: 0 }
    const call = async (client: any) => {
      const text = await new Promise<string>((resolve, reject) => {
        client.ask(Buffer.from('who'), (error: Error | null, reply: Buffer) =>
          error ? reject(error) : resolve(String(reply)),
        )
      })
      if (!/^who \d+$/.test(text)) throw new Error(text)
      done.ask++
      const parts: string[] = []
      await new Promise((resolve, reject) => {
        client
          .list(Buffer.from('part'))
          .on('data', (part: Buffer) => parts.push(String(part)))
          .on('end', resolve)
          .on('error', reject)
      })
      if (parts.join() !== 'part 0,part 1,part 2') throw new Error(parts.join())
      done.list++
      const code = await new Promise((resolve) =>
        client.refuse(Buffer.from(''), (error: { code: number }) => resolve(error?.code)),
      )
      if (code !== 5) throw new Error(`code ${code}`)
      done.refuse++
    }
    const loops = Array.from({ length: 4 }, async () => {
      const client = new Service(`127.0.0.1:${port}`, credentials.createInsecure(), {
        'grpc.use_local_subchannel_pool': 1,
      })
      onTestFinished(() => client.close())
      while (!stopped) await call(client).catch((error: Error) => failures.push(error.message))
    })
    for (let i = 0; i < 2; i++) expect(await supervisor.call('reload')).toMatchObject({ ok: true, forced: 0 })
    const after = done.refuse
    await eventually(() => done.refuse > after + 20)
    stopped = true
    await Promise.all(loops)
    expect(failures).toEqual([])
    expect((await supervisor.call('stats')).drains).toMatchObject({ forced: 0, lost: 0 })
  })
})
