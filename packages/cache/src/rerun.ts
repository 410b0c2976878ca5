import { IncomingMessage, type Server, ServerResponse } from 'node:http'
import { Socket } from 'node:net'

/** The server that a request came in by; `undefined` when it cannot be given another one (HTTP/2, tests). */
export function serverOf(req: IncomingMessage): Server | undefined {
  const { server } = req.socket as Socket & { server?: Server }
  return typeof server?.emit === 'function' && server.listenerCount('request') > 0 ? server : undefined
}

/**
 * Sends a copy of a GET through the app once more, from the outermost handler on, without a client: what it answers goes
 * nowhere but to who watches the response. Conditional headers are left out: the whole response is wanted.
 *
 * @param begin called with the copy before the app sees it
 * @param over called when the response has ended, in whatever way
 */
export function rerun(
  original: IncomingMessage,
  server: Server,
  url: string,
  begin: (copy: IncomingMessage) => void,
  over: () => void,
): void {
  const socket = stageSocket(original.socket, server)
  const copy = new IncomingMessage(socket)
  copy.method = 'GET'
  copy.url = url
  copy.httpVersion = original.httpVersion
  copy.httpVersionMajor = original.httpVersionMajor
  copy.httpVersionMinor = original.httpVersionMinor
  copy.headers = withoutConditions(original.headers)
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

export function withoutConditions(headers: IncomingMessage['headers']): IncomingMessage['headers'] {
  const rest = { ...headers }
  for (const name of ['if-none-match', 'if-modified-since', 'if-match', 'if-unmodified-since', 'if-range']) {
    delete rest[name]
  }
  return rest
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
