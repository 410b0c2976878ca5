import { IncomingMessage, type Server, ServerResponse } from 'node:http'
import { Socket } from 'node:net'

/** The server that a request came in by; `undefined` when it cannot be given another one, as in tests without a server. */
export function serverOf(req: IncomingMessage): Server | undefined {
  const { stream } = req as { stream?: { session?: { server?: Server } } }
  const server = stream?.session?.server ?? (req.socket as Socket & { server?: Server }).server
  return typeof server?.emit === 'function' && server.listenerCount('request') > 0 ? server : undefined
}

/**
 * Sends a copy of a GET through the app once more, from the outermost handler on, without a client: what it answers goes
 * nowhere but to who watches the response. Conditional headers are left out, since the whole response is wanted, and so is
 * all that says who the client is: nobody acts in a client's name when the client has left. Over HTTP/2 the copy is an
 * HTTP/1 request, as a server that speaks both would get it.
 *
 * @param credentials names of request headers that say who the client is
 * @param begin called with the copy before the app sees it
 * @param over called when the response has ended, in whatever way
 */
export function rerun(
  original: IncomingMessage,
  server: Server,
  url: string,
  credentials: readonly string[],
  begin: (copy: IncomingMessage) => void,
  over: () => void,
): void {
  const socket = stageSocket(original.socket, server)
  const copy = new IncomingMessage(socket)
  copy.method = 'GET'
  copy.url = url
  const { httpVersionMajor: major, httpVersionMinor: minor } = original
  ;[copy.httpVersionMajor, copy.httpVersionMinor] = major > 1 ? [1, 1] : [major, minor]
  copy.httpVersion = `${copy.httpVersionMajor}.${copy.httpVersionMinor}`
  copy.headers = without([...CONDITIONS, ...credentials], original.headers)
  const authority = copy.headers[':authority']
  for (const name in copy.headers) if (name.startsWith(':')) delete copy.headers[name]
  if (typeof authority === 'string') copy.headers.host ??= authority
  for (const name in copy.headers) copy.rawHeaders.push(name, String(copy.headers[name]))
  copy.complete = true
  copy.push(null)
  const res = new ServerResponse(copy)
  res.assignSocket(socket)
  res.once('finish', () => socket.destroy())
  res.once('close', over)
  begin(copy)
  server.emit('request', copy, res)
}

const CONDITIONS = ['if-none-match', 'if-modified-since', 'if-match', 'if-unmodified-since', 'if-range']

type Headers = IncomingMessage['headers']

function without(names: readonly string[], headers: Headers): Headers {
  const rest = { ...headers }
  for (const name of names) delete rest[name]
  return rest
}

/** Hides the conditions of a request from its handler, which is to answer in full. HTTP/2's headers can only be hidden. */
export function hideConditions(req: IncomingMessage): void {
  const { headers } = req
  if (!CONDITIONS.some((name) => name in headers)) return
  const value = without(CONDITIONS, headers)
  Object.defineProperty(req, 'headers', { value, configurable: true, enumerable: true, writable: true })
}

/** Takes everything and sends nothing; says the same of the client as the real one. */
function stageSocket(real: Socket, server: Server): Socket {
  const socket = new Socket()
  socket._write = (_chunk, _encoding, done) => done()
  socket._writev = (_chunks, done) => done()
  const { remoteAddress, remotePort, remoteFamily, localAddress, localPort } = real
  const encrypted = (real as Socket & { encrypted?: boolean }).encrypted
  const facts = { remoteAddress, remotePort, remoteFamily, localAddress, localPort, encrypted, server }
  for (const [name, value] of Object.entries(facts)) Object.defineProperty(socket, name, { value })
  return socket
}
