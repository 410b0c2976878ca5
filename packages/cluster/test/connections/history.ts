/** One client's connection as a script: bytes, where they are split, what is waited for, when the server has to go. */
export interface History {
  readonly seed: number
  readonly steps: readonly Step[]
  /** How the client ends: it asked for `Connection: close`, it half-closes a tunnel, or it goes away in the middle. */
  readonly ending: 'close' | 'tunnel' | 'destroy' | 'fin'
}

export type Step =
  | { readonly kind: 'send'; readonly text: string }
  /** Turns of the event loop. */
  | { readonly kind: 'pause'; readonly turns: number }
  /** Until so many responses have begun to come. */
  | { readonly kind: 'await'; readonly responses: number }
  /** The process that has the connection begins to leave. */
  | { readonly kind: 'leave' }

/** What a client says, and after how many of its bytes an answer is certain. */
interface Message {
  readonly text: string
  readonly answeredAt: number
}

/** Numbers from 0 to 1 that are the same for the same seed (mulberry32). */
export function random(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

const SMUGGLED = 'GET /admin/delete-all HTTP/1.1\r\nHost: a\r\n\r\n'

class Writer {
  readonly #random: () => number
  #number = 0

  constructor(next: () => number) {
    this.#random = next
  }

  upTo(most: number): number {
    return Math.floor(this.#random() * (most + 1))
  }

  chance(share: number): boolean {
    return this.#random() < share
  }

  pick<T>(...choices: readonly T[]): T {
    return choices[this.upTo(choices.length - 1)] as T
  }

  head(start: string, ...headers: readonly string[]): string {
    return [`${start} HTTP/1.1`, 'Host: a', `X-Number: ${this.#number++}`, ...headers, '', ''].join('\r\n')
  }

  /** Bytes that would be requests, were they not the body of one. */
  body(): string {
    const filler = this.pick('', '\r\n', 'x', '0\r\n\r\n').repeat(this.upTo(this.pick(3, 30, 3_000)))
    return filler + SMUGGLED.repeat(this.upTo(2)) + 'y'.repeat(this.upTo(40))
  }

  whole(text: string): Message {
    return { text, answeredAt: text.length }
  }

  sized(start: string, ...headers: readonly string[]): { head: string; body: string } {
    const body = this.body()
    return { head: this.head(start, `Content-Length: ${body.length}`, ...headers), body }
  }

  chunked(start: string, ...headers: readonly string[]): { head: string; body: string } {
    let body = ''
    for (let i = this.upTo(4); i > 0; i--) {
      const data = this.body() || 'z'
      body += `${data.length.toString(16)}${this.pick('', ';name=value')}\r\n${data}\r\n`
    }
    body += `0\r\n${this.pick('', 'X-Trailer: end\r\n')}\r\n`
    return { head: this.head(start, 'Transfer-Encoding: chunked', ...headers), body }
  }

  /** With a body that is read, or answered as soon as the head is there. */
  upload(): Message {
    const early = this.chance(0.5)
    const path = early ? `/early/${this.pick(200, 401, 404, 413)}` : '/echo'
    const expect = this.chance(0.2) ? ['Expect: 100-continue'] : []
    const start = `${this.pick('POST', 'PUT', 'GET', 'DELETE')} ${path}`
    const { head, body } = this.chance(0.5) ? this.sized(start, ...expect) : this.chunked(start, ...expect)
    return { text: head + body, answeredAt: early ? head.length : head.length + body.length }
  }

  message(): Message {
    const blank = this.chance(0.1) ? '\r\n' : ''
    switch (this.upTo(7)) {
      case 0:
        return this.whole(blank + this.head('GET /echo'))
      case 1:
        return this.whole(blank + this.head(this.pick('HEAD /echo', 'OPTIONS *', 'HEAD /early/404')))
      case 2:
        return this.whole(blank + this.head(`GET /slow/${this.upTo(8)}`))
      case 3:
        return this.whole(blank + this.head(`GET /stream/${this.upTo(5)}`))
      case 4:
        return this.whole(blank + this.head(`GET /big/${this.upTo(200_000)}`))
      default:
        return this.upload()
    }
  }
}

/** A random history: pipelined, chunked, answered early, split anywhere, with the server leaving in between. */
export function history(seed: number): History {
  const write = new Writer(random(seed))
  const messages = Array.from({ length: 1 + write.upTo(5) }, () => write.message())
  const tunnel = write.chance(0.15)
  if (!tunnel) messages.push(write.whole(write.head('GET /echo', 'Connection: close')))
  const steps = split(write, messages, 0)
  if (tunnel) {
    const start = write.pick('GET /tunnel', 'CONNECT a:1')
    const upgrade = start.startsWith('GET') ? ['Connection: Upgrade', 'Upgrade: echo'] : []
    // It has no final response.
    const opening = {
      text: write.head(start, ...upgrade) + write.body(),
      answeredAt: Number.POSITIVE_INFINITY,
    }
    steps.push({ kind: 'await', responses: messages.length }, { kind: 'pause', turns: 20 })
    steps.push(...split(write, [opening], messages.length))
    return { seed, steps, ending: 'tunnel' }
  }
  if (!write.chance(0.2)) return { seed, steps, ending: 'close' }
  return {
    seed,
    steps: steps.slice(0, 1 + write.upTo(steps.length - 1)),
    ending: write.pick('destroy', 'fin'),
  }
}

/** The same history, as it is when its client does not go away. */
export function whole(seed: number): History {
  const cut = history(seed)
  if (cut.ending === 'close' || cut.ending === 'tunnel') return cut
  const write = new Writer(random(seed))
  const messages = Array.from({ length: 1 + write.upTo(5) }, () => write.message())
  write.chance(0.15)
  messages.push(write.whole(write.head('GET /echo', 'Connection: close')))
  return { seed, steps: split(write, messages, 0), ending: 'close' }
}

function split(write: Writer, messages: readonly Message[], answered: number): Step[] {
  const text = messages.map((each) => each.text).join('')
  const certain: number[] = []
  let offset = 0
  for (const message of messages) {
    certain.push(offset + message.answeredAt)
    offset += message.text.length
  }
  const cuts = new Set([text.length])
  for (let i = write.upTo(write.pick(2, 12)); i > 0; i--) cuts.add(1 + write.upTo(text.length - 2))
  // Where messages meet is where it matters.
  for (const at of certain)
    if (write.chance(0.4)) cuts.add(Math.min(text.length, Math.max(1, at + write.upTo(4) - 2)))
  const steps: Step[] = []
  let leaves = write.upTo(3)
  let from = 0
  for (const to of [...cuts].sort((a, b) => a - b)) {
    steps.push({ kind: 'send', text: text.slice(from, to) })
    from = to
    if (leaves > 0 && write.chance(0.3)) {
      steps.push({ kind: 'leave' })
      leaves--
    }
    const responses = answered + certain.filter((at) => at <= to).length
    if (write.chance(0.3)) steps.push({ kind: 'await', responses })
    if (write.chance(0.6)) steps.push({ kind: 'pause', turns: write.upTo(write.pick(3, 30)) })
  }
  return steps
}
