import { createServer, type RequestListener, type Server, type ServerResponse } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { eventually } from '@spillway/testkit'
import { describe, expect, it, onTestFinished } from 'vitest'
import { Connections } from '../../src/connections/connections.js'

const LINGER = 60_000

/** A server whose connections are followed by a clock that stands still, unless it is moved. */
async function follow(listener: RequestListener) {
  const server = createServer(listener)
  const clock = { at: 0, now: () => clock.at }
  const connections = new Connections(server, clock)
  const sockets: Socket[] = []
  server.on('connection', (socket) => sockets.push(socket))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    connections.destroy()
    server.close()
  })
  return { server, clock, connections, sockets }
}

/** A client that says what it is told to, and keeps what it hears. */
async function client(server: Server) {
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1').setEncoding('latin1')
  const heard = { text: '', closed: false }
  socket.on('data', (text) => {
    heard.text += text
  })
  socket.on('close', () => {
    heard.closed = true
  })
  socket.on('error', () => {})
  onTestFinished(() => void socket.destroy())
  await new Promise((resolve) => socket.once('connect', resolve))
  return { heard, say: (text: string) => void socket.write(text) }
}

const GET = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n'
const get = (body: string) => `GET / HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n${body}`
const post = (body: string) => get(body).replace('GET', 'POST')

/** Long enough for what happens right after the poll phase. */
async function turns(): Promise<void> {
  for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve))
}

/** Collects the connections that could be moved. */
function mover() {
  const moved: Socket[] = []
  const move = (socket: Socket) => {
    moved.push(socket)
    socket.destroy()
    return true
  }
  return { moved, options: { linger: LINGER, move } }
}

describe('Connections', () => {
  it.each([
    ['a GET', GET],
    ['a GET with a body', get('body')],
    ['a POST', post('body')],
  ])('takes a connection for idle after %s', async (_name, text) => {
    const { server, connections } = await follow((req, res) => req.resume().on('end', () => res.end('ok')))
    const { heard, say } = await client(server)
    const head = text.indexOf('\r\n\r\n') + 4
    say(text.slice(0, head))
    await eventually(() => connections.requests === 1)
    say(text.slice(head))
    await eventually(() => heard.text.endsWith('ok'))
    const { moved, options } = mover()
    connections.end(options)
    await eventually(() => moved.length === 1)
  })

  it.each([
    ['a GET', GET],
    ['a POST', post('body')],
  ])('does not move or close one that has begun to send the next head after %s', async (_name, text) => {
    const { server, connections, clock, sockets } = await follow((req, res) =>
      req.resume().on('end', () => res.end('ok')),
    )
    const { heard, say } = await client(server)
    say(text)
    await eventually(() => heard.text.endsWith('ok'))
    say(GET.slice(0, 10))
    await eventually(() => (sockets[0]?.bytesRead ?? 0) > text.length)
    const { moved, options } = mover()
    connections.end(options)
    clock.at += LINGER + 1
    await turns()
    expect([moved.length, sockets[0]?.destroyed]).toEqual([0, false])
    say(GET.slice(10))
    // It may move as soon as its answer is out.
    await eventually(() => moved.length === 1)
    await eventually(() => heard.text.split('ok').length === 3)
  })

  it('counts what is in flight, with pipelining as well', async () => {
    const waiting: ServerResponse[] = []
    const { server, connections } = await follow((_req, res) => waiting.push(res))
    const { heard, say } = await client(server)
    say(GET + GET + GET)
    await eventually(() => connections.active === 3)
    const { moved, options } = mover()
    connections.end(options)
    for (const [i, res] of waiting.entries()) {
      expect(moved).toHaveLength(0)
      res.end('ok')
      await eventually(() => connections.active === 2 - i)
    }
    await eventually(() => moved.length > 0)
    await turns()
    expect(moved).toHaveLength(1) // not again by the sweep, before its socket has closed
    expect(connections.requests).toBe(3)
    await eventually(() => heard.text.split('ok').length === 4)
  })

  it('counts a request that asks for 100-continue once', async () => {
    const { server, connections } = await follow((req, res) => req.resume().on('end', () => res.end('ok')))
    server.on('checkContinue', (req, res) => {
      res.writeContinue()
      server.emit('request', req, res)
    })
    const { heard, say } = await client(server)
    say(post('body').replace('\r\n', '\r\nExpect: 100-continue\r\n'))
    await eventually(() => heard.text.endsWith('ok'))
    expect([connections.requests, connections.active]).toEqual([1, 0])
  })

  it('does not count a client that went away', async () => {
    const { server, connections, sockets } = await follow(() => {})
    const { say } = await client(server)
    say(GET)
    await eventually(() => connections.active === 1)
    sockets[0]?.destroy()
    await eventually(() => connections.count === 0)
    expect(connections.active).toBe(0)
  })

  it('waits from the end of a slow response on, not from its beginning', async () => {
    const waiting: ServerResponse[] = []
    const { server, connections, clock } = await follow((_req, res) => waiting.push(res))
    const { heard, say } = await client(server)
    say(GET)
    await eventually(() => waiting.length === 1)
    clock.at += 2 * LINGER
    waiting[0]?.end('ok')
    await eventually(() => heard.text.endsWith('ok'))
    connections.end({ linger: LINGER, move: undefined })
    await turns()
    expect(heard.closed).toBe(false)
    clock.at += LINGER
    await eventually(() => heard.closed)
  })

  it.each([
    [
      'accepted',
      'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n',
      '\x88\x02\x03\xe9',
    ],
    ['refused', 'HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nConnection: close\r\n\r\n', ''],
  ])(
    'K6 writes nothing in front of the late answer to a WebSocket that is %s',
    async (what, answer, after) => {
      for (const begins of ['before', 'while']) {
        const { server, connections } = await follow((_req, res) => res.end('ok'))
        const upgrades: Socket[] = []
        server.on('upgrade', (_req, socket: Socket) => upgrades.push(socket))
        const { heard, say } = await client(server)
        const ask = () => say(`${GET.slice(0, -2)}Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n`)
        say(GET)
        await eventually(() => heard.text.endsWith('ok'))
        heard.text = ''
        if (begins === 'before') connections.end({ linger: LINGER, move: undefined })
        ask()
        await eventually(() => upgrades.length === 1)
        if (begins === 'while') connections.end({ linger: LINGER, move: undefined })
        // Who the visitor is has to be looked up.
        await turns()
        if (what === 'accepted') upgrades[0]?.write(answer)
        else upgrades[0]?.end(answer)
        await eventually(() => heard.text.length >= answer.length + after.length)
        await turns()
        expect(heard.text).toBe(answer + after)
      }
    },
  )
})
