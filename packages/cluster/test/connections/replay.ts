import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { Connections } from '../../src/connections/connections.js'
import { type ConnectionHandle, detach } from '../../src/node-internals/handles.js'
import { listenByProxy } from '../../src/node-internals/proxy-listener.js'
import type { History } from './history.js'

/** What a server has made of a history. */
export interface Outcome {
  /** Each request, in the order in which they came, with the digest of its body where that was read. */
  readonly requests: readonly string[]
  /** All that the client got. */
  readonly received: string
  /** How often the connection moved. */
  readonly moves: number
}

export interface ReplayOptions {
  /** What a leaving server does with connections; `stay`: servers do not leave. */
  readonly leave: 'stay' | 'move' | 'close'
  readonly linger?: number
}

const turn = () => new Promise((resolve) => setImmediate(resolve))

/** Plays a history over a real socket. */
export async function replay(history: History, options: ReplayOptions): Promise<Outcome> {
  const fleet = new TestFleet(options)
  const port = await fleet.listen()
  const client = connect({ port, host: '127.0.0.1', allowHalfOpen: true }).setEncoding('latin1').setNoDelay()
  let received = ''
  let closed = false
  client.on('data', (text) => {
    received += text
  })
  client.on('error', () => {})
  client.on('end', () => client.end())
  const over = new Promise<void>((resolve) =>
    client.on('close', () => {
      closed = true
      resolve()
    }),
  )
  await once(client, 'connect')
  for (const step of history.steps) {
    if (closed) break
    if (step.kind === 'send') client.write(step.text, 'latin1')
    else if (step.kind === 'leave') fleet.leave()
    else if (step.kind === 'pause') for (let i = 0; i < step.turns; i++) await turn()
    else while (!closed && answers(received) < step.responses) await turn()
  }
  if (history.ending === 'destroy') client.destroy()
  else if (history.ending !== 'close') client.end()
  await over
  // What the client sent last may still have to be read.
  if (history.ending === 'destroy' || history.ending === 'fin') for (let i = 0; i < 10; i++) await turn()
  fleet.close()
  return { requests: fleet.requests.map((each) => each.join(' ')), received, moves: fleet.moves }
}

/** Final responses (not 100 and 101) in what a client got. */
export function answers(received: string): number {
  return received.match(/HTTP\/1\.1 [2-5]\d\d/g)?.length ?? 0
}

/** Servers of one app, of which each that leaves gives its connections to the next one: over the same code as processes do. */
class TestFleet {
  readonly requests: string[][] = []
  moves = 0
  readonly #options: ReplayOptions
  readonly #members: { server: Server; connections: Connections }[] = []
  #current = 0

  constructor(options: ReplayOptions) {
    this.#options = options
  }

  async listen(): Promise<number> {
    const { server } = this.#add()
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    for (let i = 0; i < 6; i++) await listenByProxy(this.#add().server, { host: '127.0.0.1', port: 0 })
    return (server.address() as AddressInfo).port
  }

  leave(): void {
    const { leave, linger = 60_000 } = this.#options
    const leaving = this.#members[this.#current]
    const next = this.#members[this.#current + 1]
    if (leave === 'stay' || leaving === undefined || next === undefined) return
    this.#current++
    const move = (socket: Socket, used: boolean) => {
      const handle = detach(socket)
      if (handle === undefined) return false
      this.moves++
      next.connections.receive(reborn(handle), used)
      return true
    }
    leaving.connections.end({ linger, move: leave === 'move' ? move : undefined })
  }

  close(): void {
    for (const { server, connections } of this.#members) {
      connections.destroy()
      server.close()
    }
  }

  #add() {
    const server = createServer((req, res) => this.#answer(req, res))
    server.on('upgrade', (req, socket: Socket, head) => this.#tunnel(req, socket, head))
    server.on('connect', (req, socket: Socket, head) => this.#tunnel(req, socket, head))
    const member = { server, connections: new Connections(server, { now: () => performance.now() }) }
    this.#members.push(member)
    return member
  }

  #note({ method, url, headers }: IncomingMessage): string[] {
    const entry = [`${method} ${url} ${headers['x-number']}`]
    this.requests.push(entry)
    return entry
  }

  #answer(req: IncomingMessage, res: ServerResponse): void {
    const entry = this.#note(req)
    res.sendDate = false
    const [, name, count = '0'] = (req.url ?? '').split('/')
    if (name === 'early') res.writeHead(Number(count)).end(`early ${entry}`)
    else if (name === 'slow') void after(Number(count), () => res.end(`slow ${entry}`))
    else if (name === 'stream') void stream(res, Number(count))
    else if (name === 'big') res.end('b'.repeat(Number(count)))
    else if (name === 'admin') res.end('captured')
    else {
      const digest = createHash('sha1')
      req.on('data', (data) => digest.update(data))
      req.on('end', () => {
        entry.push(digest.digest('hex'))
        res.end(`echo ${entry}`)
      })
    }
  }

  #tunnel(req: IncomingMessage, socket: Socket, head: Buffer): void {
    this.#note(req)
    socket.write(`HTTP/1.1 101 Tunnel\r\n\r\n`)
    socket.write(head)
    socket.on('error', () => {})
    socket.pipe(socket)
  }
}

async function after(turns: number, then: () => void): Promise<void> {
  for (let i = 0; i < turns; i++) await turn()
  then()
}

async function stream(res: ServerResponse, parts: number): Promise<void> {
  for (let i = 0; i < parts; i++) {
    res.write(`part ${i};`)
    await turn()
  }
  res.end()
}

/** A handle as it comes out of another process: Node has made nothing of it yet. */
function reborn(handle: ConnectionHandle): ConnectionHandle {
  return Object.assign(handle, { reading: false, _consumed: false })
}
