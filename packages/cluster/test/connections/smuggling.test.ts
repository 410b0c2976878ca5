import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { type History, history, whole } from './history.js'
import { answers, type Outcome, replay } from './replay.js'

/** Of each kind. The long form: HISTORIES=20000 npx vitest run test/smuggling.test.ts */
const HISTORIES = Number(process.env.HISTORIES ?? 300)
/** The first of them; SEED=n HISTORIES=1 plays one again. */
const SEED = Number(process.env.SEED ?? 1)
const AT_ONCE = 24
/** A history that is not over by then has lost something. Milliseconds. */
const STUCK = 30_000

const BAD_REQUEST = 'HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n'

/** Plays all histories; tells how often connections moved and what is wrong with the first wrong one. */
async function playAll(judge: (seed: number) => Promise<{ moves: number; problem?: string | undefined }>) {
  let next = SEED
  let moves = 0
  const problems: string[] = []
  const player = async () => {
    while (next < SEED + HISTORIES && problems.length === 0) {
      const seed = next++
      const stuck = new AbortController()
      const deadline = sleep(STUCK, { moves: 0, problem: 'it does not end' }, { signal: stuck.signal })
      deadline.catch(() => {})
      const { moves: more, problem } = await Promise.race([judge(seed), deadline])
      stuck.abort()
      moves += more
      if (problem !== undefined) {
        problems.push(
          `SEED=${seed} HISTORIES=1: ${problem}\n${JSON.stringify(history(seed)).slice(0, 3_000)}`,
        )
      }
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, player))
  if (HISTORIES > 1_000) console.log(`${next - SEED} histories, ${moves} moves`)
  return { moves, problems }
}

/** The client went away: what was seen, and what it got, is a beginning of what there would have been. */
function isBeginning(got: Outcome, full: Outcome): string | undefined {
  const { received } = got
  const answered = received.endsWith(BAD_REQUEST) ? received.slice(0, -BAD_REQUEST.length) : received
  if (!full.received.startsWith(answered)) return difference(answered, full.received)
  const wrong = got.requests.findIndex((each, i) => full.requests[i]?.startsWith(each) !== true)
  return wrong < 0 ? undefined : `request ${wrong} was ${got.requests[wrong]}, not ${full.requests[wrong]}`
}

/** Nothing differs at all. */
function isSame(got: Outcome, full: Outcome): string | undefined {
  if (got.requests.join() !== full.requests.join())
    return `seen: ${got.requests.join('; ')}\nnot: ${full.requests.join('; ')}`
  return got.received === full.received ? undefined : difference(got.received, full.received)
}

/**
 * A polite close: the client has whole responses to the first requests, the last of them with `Connection: close` or followed
 * by the end of an idle connection. Exactly the requests that were answered have been processed, so all others may be sent
 * again.
 */
function isPoliteClose(got: Outcome, full: Outcome): string | undefined {
  const count = answers(got.received)
  const expected = responses(full.received).slice(0, count).join('')
  const received = responses(got.received)
  if (received.join('') !== expected) return difference(received.join(''), expected)
  const latest = got.received.lastIndexOf('HTTP/1.1 ')
  if (got.received.slice(0, latest).includes('Connection: close')) return 'a response after the last one'
  if (got.requests.join() !== full.requests.slice(0, count).join())
    return `${count} responses, but processed: ${got.requests.join('; ')}`
  return undefined
}

/** The responses, each with the informational ones before it, without what says whether the connection goes on. */
function responses(received: string): string[] {
  return received
    .replaceAll('HTTP/1.1 100 Continue\r\n\r\n', '')
    .split(/(?=HTTP\/1\.1 [2-5]\d\d)/)
    .map((each) => each.replaceAll(/Connection: (keep-alive|close)\r\n|Keep-Alive: timeout=\d+\r\n/g, ''))
}

function difference(got: string, wanted: string): string {
  let at = 0
  while (at < got.length && got[at] === wanted[at]) at++
  const excerpt = (text: string) => JSON.stringify(text.slice(Math.max(0, at - 60), at + 120))
  return `from byte ${at} on (of ${got.length} and ${wanted.length}): ${excerpt(got)}, not ${excerpt(wanted)}`
}

const limit = 60_000 + HISTORIES * 100

describe('S1 K51 K56 any history of a connection', () => {
  it('S1 K51 K56 is the same whether or not the connection moves in between', {
    timeout: limit,
  }, async () => {
    const { moves, problems } = await playAll(async (seed) => {
      const played: History = history(seed)
      const [got, full] = await Promise.all([
        replay(played, { leave: 'move' }),
        replay(whole(seed), { leave: 'stay' }),
      ])
      const cut = played.ending === 'destroy' || played.ending === 'fin'
      return { moves: got.moves, problem: (cut ? isBeginning : isSame)(got, full) }
    })
    expect(problems).toEqual([])
    expect(moves).toBeGreaterThan(HISTORIES / 10)
  })

  it('S1 ends politely where the connection cannot move: answered is what was processed', {
    timeout: limit,
  }, async () => {
    const { problems } = await playAll(async (seed) => {
      const full = whole(seed)
      if (full.ending === 'tunnel') return { moves: 0 }
      const [got, wanted] = await Promise.all([
        replay(full, { leave: 'close', linger: seed % 2 === 0 ? 0 : 60_000 }),
        replay(full, { leave: 'stay' }),
      ])
      return { moves: 0, problem: isPoliteClose(got, wanted) }
    })
    expect(problems).toEqual([])
  })
})
