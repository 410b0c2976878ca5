import { readFileSync } from 'node:fs'
import { createServer as createHttpServer, type ServerOptions } from 'node:http'
import * as http2 from 'node:http2'
import { createServer as createHttpsServer } from 'node:https'
import {
  type AddressInfo,
  connect,
  createServer as createTcpServer,
  type Server,
  type Socket,
} from 'node:net'
import type { Duplex } from 'node:stream'
import { connect as connectTls } from 'node:tls'
import { eventually } from '@spillway/testkit'
import { describe, expect, it, onTestFinished } from 'vitest'
import { Connections } from '../../src/connections/connections.js'
import { certificate } from '../certificate.js'

/** What shows from outside and from inside: what the client got, and what the app's listeners were called with. */
type Report = readonly string[]

const WATCHED_EVENTS = [
  'connection',
  'secureConnection',
  'request',
  'upgrade',
  'connect',
  'checkContinue',
  'checkExpectation',
  'clientError',
  'tlsClientError',
  'timeout',
  'dropRequest',
  'drop',
  'session',
  'sessionError',
  'stream',
  'unknownProtocol',
  'listening',
  'close',
  'error',
  'newListener',
  'removeListener',
]

/** What Node or an app can ask a server about itself. */
function facts(server: Server): string {
  const counts = WATCHED_EVENTS.map((event) => `${event} ${server.listenerCount(event)}`)
  const settings = Object.entries(server).filter(
    ([, value]) => typeof value === 'number' || typeof value === 'boolean',
  )
  return [...counts, ...settings.map(([name, value]) => `${name}=${value}`), Object.keys(server).join()].join(
    '; ',
  )
}

/** Runs one server twice, followed and not, and gives both reports. */
async function both(
  make: () => Server,
  use: (port: number, tell: (what: string) => void) => Promise<void>,
  setUp: (server: Server, tell: (what: string) => void) => void,
): Promise<[Report, Report]> {
  const run = async (followed: boolean): Promise<Report> => {
    const report: string[] = []
    const tell = (what: string) => void report.push(what)
    const server = make()
    if (followed) new Connections(server, { now: () => performance.now() })
    server.on('newListener', (event) => tell(`new listener for ${String(event)}`))
    setUp(server, tell)
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    tell(facts(server))
    await use((server.address() as AddressInfo).port, tell)
    tell(facts(server))
    await new Promise<void>((resolve) => {
      server.close(() => resolve())
      ;(server as { closeAllConnections?: () => void }).closeAllConnections?.()
    })
    return report
  }
  return [await run(true), await run(false)]
}

/** Says something on a connection of its own and gives all that comes until the server ends it, or until it fits. */
async function say(socket: Duplex, text: string, enough?: RegExp): Promise<string> {
  let heard = ''
  let over = false
  socket.on('data', (data) => {
    heard += data
  })
  socket.on('error', () => {})
  socket.on('close', () => {
    over = true
  })
  onTestFinished(() => void socket.destroy())
  socket.write(text)
  await eventually(() => over || enough?.test(heard) === true)
  socket.destroy()
  return heard.replaceAll(/Date: .*\r\n/g, '')
}

const HEAD = 'HTTP/1.1\r\nHost: a\r\n'

/** Each is a client's whole connection. */
const EXCHANGES: Readonly<Record<string, string>> = {
  'a request': `GET / ${HEAD}Connection: close\r\n\r\n`,
  'a pipeline': `GET /1 ${HEAD}\r\nPOST /2 ${HEAD}Content-Length: 2\r\n\r\nabGET /3 ${HEAD}Connection: close\r\n\r\n`,
  'an upgrade': `GET / ${HEAD}Connection: Upgrade, close\r\nUpgrade: other\r\n\r\n`,
  'a CONNECT': `CONNECT a:1 ${HEAD}Connection: close\r\n\r\n`,
  'a continue': `POST / ${HEAD}Content-Length: 2\r\nExpect: 100-continue\r\nConnection: close\r\n\r\nab`,
  'an expectation': `POST / ${HEAD}Content-Length: 2\r\nExpect: much\r\nConnection: close\r\n\r\nab`,
  'no host': 'GET / HTTP/1.1\r\nConnection: close\r\n\r\n',
  nonsense: 'nonsense\r\n\r\n',
  'half a head': 'GET / HTTP/1.1\r\nHos',
  'too many requests': `${`GET / ${HEAD}\r\n`.repeat(4)}GET / ${HEAD}Connection: close\r\n\r\n`,
}

const OPTIONS: ServerOptions = { headersTimeout: 200, requestTimeout: 300, connectionsCheckingInterval: 20 }

/** The listeners that change what Node does, one app with each. */
const APPS: Readonly<Record<string, (server: Server, tell: (what: string) => void) => void>> = {
  'no listener more': () => {},
  upgrade: (server, tell) =>
    server.on('upgrade', (_req, socket: Socket) => socket.end('upgraded')) && tell('on'),
  'an upgrade listener that goes': (server) => {
    const listener = (_req: unknown, socket: Socket) => void socket.end('upgraded')
    server.on('upgrade', listener)
    server.off('upgrade', listener)
  },
  connect: (server) => server.on('connect', (_req, socket: Socket) => socket.end('connected')),
  checkContinue: (server) => server.on('checkContinue', (_req, res) => res.writeHead(401).end('no')),
  checkExpectation: (server) => server.on('checkExpectation', (_req, res) => res.writeHead(200).end('fine')),
  clientError: (server, tell) =>
    server.on('clientError', (error, socket: Socket) => {
      tell(`client error ${error.code}`)
      socket.end('HTTP/1.1 418 No\r\n\r\n')
    }),
  dropRequest: (server, tell) => {
    Object.assign(server, { maxRequestsPerSocket: 2 })
    server.on('dropRequest', () => tell('dropped'))
  },
  timeout: (server, tell) => {
    Object.assign(server, { timeout: 100 })
    server.on('timeout', (socket: Socket) => {
      tell('timeout')
      socket.destroy()
    })
  },
}

const handler: Parameters<typeof createHttpServer>[1] = (req, res) => {
  let body = ''
  req.on('data', (data) => {
    body += data
  })
  req.on('end', () => res.end(`${req.method} ${req.url} ${body}`))
}

describe.each(['http', 'https', 'http2 with allowHTTP1'])('K50 an app on %s', (kind) => {
  const make = () => {
    if (kind === 'http') return () => createHttpServer(OPTIONS, handler) as Server
    const { key, cert } = certificate('localhost')
    const tls = { ...OPTIONS, key: readFileSync(key), cert: readFileSync(cert) }
    if (kind === 'https') return () => createHttpsServer(tls, handler) as Server
    // It does not take these as options.
    return () =>
      Object.assign(
        http2.createSecureServer({ ...tls, allowHTTP1: true }, handler as never),
        OPTIONS,
      ) as Server
  }

  it.each(Object.keys(APPS))('K50 with %s behaves the same with Connections as without', async (name) => {
    const [followed, alone] = await both(
      make(),
      async (port, tell) => {
        for (const [what, text] of Object.entries(EXCHANGES)) {
          const socket =
            kind === 'http'
              ? connect(port, '127.0.0.1')
              : connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false })
          tell(`${what}: ${await say(socket, text)}`)
        }
      },
      APPS[name] ?? (() => {}),
    )
    expect(followed).toEqual(alone)
    expect(alone.join()).toContain('a request: HTTP/1.1 200 OK')
  })
})

/** One exchange over HTTP/2, told in the order of its events. */
async function exchange(
  session: http2.ClientHttp2Session,
  tell: (what: string) => void,
  path: string,
): Promise<void> {
  const stream = session.request({ ':method': 'POST', ':path': path, te: 'trailers' })
  let body = ''
  stream.on('data', (data) => {
    body += data
  })
  const { date: _date, ...headers } = await new Promise<http2.IncomingHttpHeaders>((resolve) => {
    stream.on('response', resolve)
    stream.on('trailers', ({ ...trailers }) => tell(`trailers ${JSON.stringify(trailers)}`))
    stream.end('question')
  })
  tell(`headers ${JSON.stringify(headers)}`)
  await new Promise((resolve) => stream.on('close', resolve))
  tell(`${body} ${stream.rstCode}`)
}

const core = (stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders) => {
  stream.respond({ ':status': 200, 'x-path': String(headers[':path']) }, { waitForTrailers: true })
  stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }))
  stream.end('answer')
}

describe.each([false, true])('K50 an app on HTTP/2, TLS: %s', (secure) => {
  const make = (listener?: typeof handler) => {
    if (!secure) return () => http2.createServer(listener as never) as Server
    const { key, cert } = certificate('localhost')
    const options = { key: readFileSync(key), cert: readFileSync(cert) }
    return () => http2.createSecureServer(options, listener as never) as Server
  }

  const use = async (port: number, tell: (what: string) => void) => {
    const session = http2.connect(`${secure ? 'https' : 'http'}://127.0.0.1:${port}`, {
      rejectUnauthorized: false,
    })
    session.on('error', (error) => tell(error.message))
    for (const path of ['/1', '/2']) await exchange(session, tell, path)
    await new Promise<void>((resolve) => session.close(resolve))
  }

  it('with streams and trailers behaves the same with Connections as without', async () => {
    const [followed, alone] = await both(make(), use, (server, tell) => {
      server.on('stream', core)
      server.on('session', () => tell('session'))
      server.on('sessionError', (error) => tell(error.message))
    })
    expect(followed).toEqual(alone)
    expect(alone.join()).toContain('grpc-status')
  })

  it('with requests behaves the same with Connections as without', async () => {
    const [followed, alone] = await both(make(handler), use, () => {})
    expect(followed).toEqual(alone)
    expect(alone.join()).toContain('POST /2 question')
  })

  it('counts streams of both kinds once', async () => {
    for (const listener of [undefined, handler]) {
      const server = make(listener)()
      if (listener === undefined) server.on('stream', core)
      const connections = new Connections(server, { now: () => performance.now() })
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
      await use((server.address() as AddressInfo).port, () => {})
      await eventually(() => connections.active === 0 && connections.count === 0)
      expect(connections.requests).toBe(2)
      server.close()
    }
  })
})

it('K50 K52 a plain TCP server behaves the same with Connections as without', async () => {
  const [followed, alone] = await both(
    () => createTcpServer((socket) => socket.end('220 hello\r\n')),
    async (port, tell) => tell(await say(connect(port, '127.0.0.1'), '')),
    () => {},
  )
  expect(followed).toEqual(alone)
  expect(alone).toContain('220 hello\r\n')
})
