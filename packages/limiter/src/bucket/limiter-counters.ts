import { type Caller, caller, channel } from '@spillway/kit'
import { type Decision, shadowed } from './decision.js'

/** A denial, without its key. */
interface Denial {
  readonly limit: string
  readonly retryAfter: number
  readonly impossible: boolean
  readonly shadowed: boolean
  readonly source: string
}

const denials = channel<Denial>('spillway:limiter:denied')

/**
 * The asynchronous context of a call whose decision will come in another one, with those of other calls; `undefined` while
 * the channel of denials has no listener.
 */
export function callerOfDecision(): Caller | undefined {
  return denials.active ? caller() : undefined
}

/**
 * Counters of a limiter. Stores pass every decision through `note` and return what it returns; for a plain admission they
 * may count `allowed` themselves.
 */
export class LimiterCounters {
  allowed = 0
  denied = 0
  shadowed = 0
  fallbacks = 0

  /** Counts a decision; a denial by a limit in shadow mode becomes one that lets through. */
  note(decision: Decision, caller?: Caller): Decision {
    if (decision.source === 'fallback') this.fallbacks++
    if (decision.allowed && !decision.shadowed) {
      this.allowed++
      return decision
    }
    const told = decision.limit.shadow && !decision.allowed ? shadowed(decision) : decision
    this.denied++
    if (told.shadowed) this.shadowed++
    if (denials.active) for (const part of refusals(told)) denials.publish(() => messageOf(part), caller)
    return told
  }
}

/** The limits that said no: the one that speaks for a denial, or all in shadow mode. */
function refusals(told: Decision): readonly Decision[] {
  return told.shadowed && told.parts !== undefined ? told.parts.filter((part) => part.shadowed) : [told]
}

function messageOf({ limit, retryAfter, impossible, shadowed, source }: Decision): Denial {
  return { limit: limit.name, retryAfter, impossible, shadowed, source }
}
