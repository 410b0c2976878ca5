import { abortable, type Caller, type CloseOptions, misuse } from '@spillway/kit'
import type { Claim } from '../../bucket/bucket-names.js'
import { chargedParts, type Decision, Terms } from '../../bucket/decision.js'
import type { Limit } from '../../bucket/limit.js'
import { callerOfDecision, type LimiterCounters } from '../../bucket/limiter-counters.js'
import type { BucketSettings, Buckets, FailurePolicy, LeaseOptions, Remembered } from '../../bucket/store.js'
import type { Batcher } from './batcher.js'
import { DecisionReplay } from './decision-replay.js'
import { DenyCache } from './deny-cache.js'
import { Fallback } from './fallback.js'
import { Leases } from './leases.js'
import type { DecisionOwner, PendingDecision } from './pending-decision.js'
import { CHARGE, type Kind, LEASE, PEEK, RESET, TAKE } from './protocol.js'

/**
 * Proxy of buckets in a shared store, of one limit or of several decided together. Answers from the lease or the deny cache
 * where it can, else asks the store, and decides by the policy for failures when the store does not answer.
 */
export class SharedBuckets implements Buckets<Promise<Decision>>, DecisionOwner {
  readonly limits: readonly Limit[]
  readonly #batcher: Batcher
  readonly settings: BucketSettings
  /** How the store names the buckets of each limit. */
  readonly #names: readonly string[]
  readonly #claims: readonly Claim[]
  /** Whether the claims are released with these buckets; those of joined buckets belong to the members. */
  readonly #ownsClaims: boolean
  readonly #counters: LimiterCounters
  readonly #terms: Terms
  readonly #fallback: Fallback
  readonly #denyCache: DenyCache | undefined
  readonly #leases: Leases | undefined

  constructor(
    batcher: Batcher,
    limits: readonly Limit[],
    claims: readonly Claim[],
    settings: BucketSettings,
    ownsClaims = true,
  ) {
    this.#batcher = batcher
    this.limits = limits
    this.#names = claims.map(({ name }) => name)
    this.#claims = claims
    this.#ownsClaims = ownsClaims
    this.settings = settings
    this.#counters = settings.counters
    this.#terms = new Terms(limits[0]!, 1, batcher.source)
    this.#fallback = new Fallback(settings.onStoreFailure, limits)
    if (settings.denyCache !== false) this.#denyCache = new DenyCache(settings.denyCache)
    if (settings.lease !== false) {
      this.#leases = new Leases(limits, settings.lease, (key, tokens) => this.charge(key, -tokens))
    }
  }

  take(key: string, cost: number, limits = this.limits, signal?: AbortSignal): Promise<Decision> {
    if (signal === undefined) return this.#take(key, cost, limits)
    if (signal.aborted) return Promise.reject(signal.reason)
    const decided = this.#take(key, cost, limits)
    return abortable(decided, signal).catch((error) => {
      if (signal.aborted)
        decided.then((late) => void (chargedParts(late).length > 0 && this.adjust(late, -cost)))
      throw error
    })
  }

  peek(key: string, cost: number, limits = this.limits): Promise<Decision> {
    return this.#ask(PEEK, key, cost, limits)
  }

  charge(key: string, cost: number, limits = this.limits): Promise<Decision> {
    if (cost < 0) this.#denyCache?.forget(key)
    return this.#ask(CHARGE, key, cost, limits)
  }

  adjust(decision: Decision, difference: number): Promise<Decision> {
    const limits = chargedParts(decision).map(({ limit }) => limit)
    if (decision.source !== 'fallback') return this.charge(decision.key, difference, limits)
    return Promise.resolve(this.#fallback.adjust(decision, difference))
  }

  reset(key: string): Promise<Decision> {
    this.#denyCache?.forget(key)
    this.#leases?.forget(key)
    return this.#ask(RESET, key, 0, this.limits)
  }

  join(others: readonly Buckets<Promise<Decision>>[], counters: LimiterCounters): SharedBuckets {
    const members = [this, ...others].map((member) => {
      if (member instanceof SharedBuckets && member.#batcher === this.#batcher) return member
      throw misuse(TypeError, 'ERR_LIMITER_JOIN', 'limiters.all() needs limiters of one store')
    })
    const limits = members.flatMap((member) => member.limits)
    if (new Set(limits.map(({ name }) => name)).size < limits.length) {
      throw misuse(TypeError, 'ERR_LIMITER_JOIN', 'limiters.all() needs limiters with different names')
    }
    const settings = members.map((member) => member.settings)
    // A limit in shadow mode refuses nothing, so its policy for failures has no say beside others.
    const enforced = members.filter(({ limits: [limit] }) => !limit!.shadow)
    const deciding = (enforced.length > 0 ? enforced : members).map((member) => member.settings)
    const claims = members.flatMap((member) => member.#claims)
    const joined: BucketSettings = {
      counters,
      named: true,
      onStoreFailure: strictest(deciding.map(({ onStoreFailure }) => onStoreFailure)),
      denyCache: settings.reduce<number | false>(
        (least, { denyCache }) =>
          least === false || denyCache === false ? false : Math.min(least, denyCache),
        Number.POSITIVE_INFINITY,
      ),
      lease: commonLease(settings, limits),
    }
    return new SharedBuckets(this.#batcher, limits, claims, joined, false)
  }

  remembered(): Remembered {
    const parts = [this.#fallback.remembered, this.#denyCache?.remembered, this.#leases?.remembered]
    const total = { keys: 0, bytes: 0 }
    for (const part of parts) {
      total.keys += part?.keys ?? 0
      total.bytes += part?.bytes ?? 0
    }
    return total
  }

  async close(_options?: CloseOptions): Promise<void> {
    await this.#leases?.close()
    if (this.#ownsClaims) for (const claim of this.#claims) claim.release()
  }

  #take(key: string, cost: number, limits: readonly Limit[]): Promise<Decision> {
    const leases = limits === this.limits ? this.#leases : undefined
    const known = leases?.spend(key, cost) ?? this.#denyCache?.find(key, cost, limits)
    if (known !== undefined) return Promise.resolve(this.#counters.note(known))
    return leases?.admits(key) ? this.#takeInAdvance(leases, key, cost) : this.#ask(TAKE, key, cost, limits)
  }

  #takeInAdvance(leases: Leases, key: string, cost: number): Promise<Decision> {
    if (!leases.isAsking(key)) {
      return this.#batcher.ask(this, LEASE, key, cost, this.limits, leases.begin(key, cost))
    }
    const caller = callerOfDecision()
    return new Promise((resolve) => {
      const go = (paid: Decision | undefined): void =>
        resolve(
          paid === undefined ? this.#ask(TAKE, key, cost, this.limits) : this.#counters.note(paid, caller),
        )
      leases.queue(
        key,
        cost,
        caller === undefined ? go : (paid) => caller.runInAsyncScope(go, undefined, paid),
      )
    })
  }

  #ask(kind: Kind, key: string, cost: number, limits: readonly Limit[]): Promise<Decision> {
    return this.#batcher.ask(this, kind, key, cost, limits)
  }

  /** By the names of the limits, since a call may bring limits of its own, or be about a part of them. */
  bucketNames(limits: readonly Limit[]): readonly string[] {
    if (limits.length === this.#names.length) return this.#names
    return limits.map(({ name }) => this.#names[this.limits.findIndex((own) => own.name === name)]!)
  }

  answered(
    pending: PendingDecision,
    granted: number,
    state: readonly number[],
    at: number,
    sent: number,
  ): void {
    const { kind, key, waiting, callers } = pending
    const replay = new DecisionReplay(pending, state, at, this.#terms)
    if (kind !== TAKE && kind !== LEASE) {
      waiting[0]!(replay.unasked())
      return
    }
    const admissions = Math.min(granted, waiting.length)
    for (let i = 0; i < admissions; i++) waiting[i]!(this.#counters.note(replay.admit(), callers?.[i]))
    if (admissions < waiting.length) {
      const denial = replay.deny()
      this.#denyCache?.note(denial, pending.limits, replay.state, sent)
      for (let i = admissions; i < waiting.length; i++) waiting[i]!(this.#counters.note(denial, callers?.[i]))
    }
    // Calls that wait for the lease come after the call that asked for it.
    if (kind === LEASE) this.#leases?.end(key, pending.advance, granted > 0 ? replay.levels : undefined)
  }

  /** The policy for failures decides instead. */
  failed({ kind, key, cost, limits, waiting, callers }: PendingDecision): void {
    for (const [i, resolve] of waiting.entries())
      resolve(this.#fallBack(kind, key, cost, limits, callers?.[i]))
    if (kind === LEASE) this.#leases?.end(key, 0, undefined)
  }

  #fallBack(kind: Kind, key: string, cost: number, limits: readonly Limit[], caller?: Caller): Decision {
    if (kind === PEEK) return this.#fallback.peek(key, cost, limits)
    if (kind === CHARGE) return this.#fallback.charge(key, cost, limits)
    if (kind === RESET) return this.#fallback.reset(key, limits)
    return this.#counters.note(this.#fallback.take(key, cost, limits), caller)
  }
}

/** The policy of limits that are decided together: the one that lets least through. */
function strictest(policies: readonly FailurePolicy[]): FailurePolicy {
  if (policies.includes('deny')) return 'deny'
  const shares = policies.filter((policy) => typeof policy === 'object').map(({ local }) => local)
  if (shares.length > 0) return { local: Math.min(...shares) }
  return policies.includes('local') ? 'local' : 'allow'
}

/** A lease on several limits at once. A limiter without a lease is exact, which a lease of the others would break. */
function commonLease(settings: readonly BucketSettings[], limits: readonly Limit[]): LeaseOptions | false {
  const leases = settings.map(({ lease }) => lease).filter((lease) => lease !== false)
  if (leases.length === 0) return false
  if (leases.length < settings.length || limits.some(({ shadow }) => shadow)) {
    throw misuse(
      TypeError,
      'ERR_LIMITER_JOIN',
      'limiters.all() takes leases only when all limiters have one, and none of them is in shadow mode',
    )
  }
  return {
    max: Math.min(...leases.map(({ max }) => max)),
    idle: Math.min(...leases.map(({ idle }) => idle)),
  }
}
