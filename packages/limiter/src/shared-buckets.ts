import { abortable, type CloseOptions, misuse } from '@spillway/kit'
import type { Call } from './batch.js'
import { levelAt } from './bucket.js'
import { admitted, combined, type Decision, standing } from './decision.js'
import { Denials } from './denials.js'
import { Fallback } from './fallback.js'
import { Leases } from './leases.js'
import type { Limit } from './limit.js'
import type { SharedStore } from './shared-store.js'
import type { BucketSettings, Buckets, FailurePolicy } from './store.js'
import type { Tally } from './tally.js'
import { CHARGE, type Kind, LEASE, PEEK, RESET, TAKE } from './wire.js'

/** The buckets of one limit, or of several decided together, in a shared store. */
export class SharedBuckets implements Buckets<Promise<Decision>> {
  readonly limits: readonly Limit[]
  readonly store: SharedStore
  readonly settings: BucketSettings
  readonly #tally: Tally
  readonly #fallback: Fallback
  readonly #denials: Denials | undefined
  readonly #leases: Leases | undefined

  constructor(store: SharedStore, limits: readonly Limit[], settings: BucketSettings) {
    this.store = store
    this.limits = limits
    this.settings = settings
    this.#tally = settings.tally
    this.#fallback = new Fallback(settings.onStoreFailure, limits)
    if (settings.denyCache !== false) this.#denials = new Denials(settings.denyCache)
    if (settings.lease !== false) {
      this.#leases = new Leases(limits[0]!, settings.lease, (key, tokens) => this.charge(key, -tokens))
    }
  }

  take(key: string, cost: number, limits = this.limits, signal?: AbortSignal): Promise<Decision> {
    if (signal === undefined) return this.#take(key, cost, limits)
    if (signal.aborted) return Promise.reject(signal.reason)
    const decided = this.#take(key, cost, limits)
    return abortable(decided, signal).catch((error) => {
      if (signal.aborted) decided.then((late) => void (late.allowed && this.adjust(late, -cost)))
      throw error
    })
  }

  peek(key: string, cost: number, limits = this.limits): Promise<Decision> {
    return this.#ask(PEEK, key, cost, limits)
  }

  charge(key: string, cost: number, limits = this.limits): Promise<Decision> {
    if (cost < 0) this.#denials?.forget(key)
    return this.#ask(CHARGE, key, cost, limits)
  }

  adjust(decision: Decision, difference: number): Promise<Decision> {
    const limits = decision.parts?.map(({ limit }) => limit) ?? [decision.limit]
    if (decision.source !== 'fallback') return this.charge(decision.key, difference, limits)
    return Promise.resolve(this.#fallback.adjust(decision, difference))
  }

  reset(key: string): Promise<Decision> {
    this.#denials?.forget(key)
    this.#leases?.forget(key)
    return this.#ask(RESET, key, 0, this.limits)
  }

  join(others: readonly Buckets<Promise<Decision>>[], tally: Tally): SharedBuckets {
    const members = [this, ...others].map((member) => {
      if (member instanceof SharedBuckets && member.store === this.store) return member
      throw misuse(TypeError, 'ERR_LIMITER_JOIN', 'limiters.all() needs limiters of one store')
    })
    const limits = members.flatMap((member) => member.limits)
    if (new Set(limits.map(({ name }) => name)).size < limits.length) {
      throw misuse(TypeError, 'ERR_LIMITER_JOIN', 'limiters.all() needs limiters with different names')
    }
    const settings = members.map((member) => member.settings)
    return new SharedBuckets(this.store, limits, {
      tally,
      onStoreFailure: strictest(settings.map(({ onStoreFailure }) => onStoreFailure)),
      denyCache: settings.reduce<number | false>(
        (least, { denyCache }) =>
          least === false || denyCache === false ? false : Math.min(least, denyCache),
        Number.POSITIVE_INFINITY,
      ),
      lease: false,
    })
  }

  async close(_options?: CloseOptions): Promise<void> {
    await this.#leases?.close()
  }

  #take(key: string, cost: number, limits: readonly Limit[]): Promise<Decision> {
    const leases = limits === this.limits ? this.#leases : undefined
    const known = leases?.spend(key, cost) ?? this.#denials?.find(key, cost, limits)
    if (known !== undefined) return Promise.resolve(this.#tally.note(known))
    return leases === undefined ? this.#ask(TAKE, key, cost, limits) : this.#takeInAdvance(leases, key, cost)
  }

  #takeInAdvance(leases: Leases, key: string, cost: number): Promise<Decision> {
    return new Promise((resolve) => {
      const serve = (decision: Decision | undefined) =>
        resolve(decision === undefined ? this.#ask(TAKE, key, cost, this.limits) : this.#tally.note(decision))
      if (leases.join(key, { cost, serve })) return
      this.store.dispatch(new SharedCall(this, LEASE, key, cost, this.limits, resolve, leases.begin(key)))
    })
  }

  #ask(kind: Kind, key: string, cost: number, limits: readonly Limit[]): Promise<Decision> {
    return new Promise((resolve) => {
      this.store.dispatch(new SharedCall(this, kind, key, cost, limits, resolve, 1))
    })
  }

  /** What the answer of the store means; the same code on the same numbers as in memory. */
  decide(call: Call, granted: boolean, state: readonly number[], at: number, sent: number): Decision {
    const { kind, limits } = call
    const single = limits.length === 1
    const decision = single
      ? this.#part(call, granted, limits[0]!, state, at)
      : combined(limits.map((limit, i) => this.#part(call, granted, limit, state, at + 2 * i)))
    if (kind !== TAKE && kind !== LEASE) return decision
    if (!granted) this.#denials?.note(decision, limits, state.slice(at, at + 2 * limits.length), sent)
    return this.#tally.note(decision)
  }

  /** Those who stand in line for a lease come after the call that asked for it. */
  endLease({ key, count }: Call, level: number | undefined): void {
    this.#leases?.end(key, count, level)
  }

  /** The policy decides instead. */
  fallBack({ kind, key, cost, limits }: Call): Decision {
    if (kind === PEEK) return this.#fallback.peek(key, cost, limits)
    if (kind === CHARGE) return this.#fallback.charge(key, cost, limits)
    if (kind === RESET) return this.#fallback.reset(key, limits)
    return this.#tally.note(this.#fallback.take(key, cost, limits))
  }

  #part(call: Call, granted: boolean, limit: Limit, state: readonly number[], at: number): Decision {
    const { kind, key, cost } = call
    const { source } = this.store
    const [used, elapsed] = [state[at]!, state[at + 1]!]
    if (kind === RESET) return standing(limit, key, 0, 0, 0, source)
    if (!granted) return standing(limit, key, cost, used, elapsed, source)
    return admitted(limit, key, cost, Math.max(0, levelAt(used, elapsed, limit) + cost), source)
  }
}

/** One call under way. A class, since there are many of them at a time. */
class SharedCall implements Call {
  readonly buckets: readonly string[]

  constructor(
    readonly owner: SharedBuckets,
    readonly kind: Kind,
    readonly key: string,
    readonly cost: number,
    readonly limits: readonly Limit[],
    readonly resolve: (decision: Decision) => void,
    readonly count: number,
  ) {
    this.buckets = limits.map(({ name }) => owner.store.bucketOf(key, name))
  }

  answered(granted: number, state: readonly number[], at: number, sent: number): void {
    this.resolve(this.owner.decide(this, granted > 0, state, at, sent))
    if (this.kind !== LEASE) return
    const level = levelAt(state[at]!, state[at + 1]!, this.limits[0]!) + this.cost
    this.owner.endLease(this, granted > 0 ? level : undefined)
  }

  failed(): void {
    this.resolve(this.owner.fallBack(this))
    if (this.kind === LEASE) this.owner.endLease(this, undefined)
  }
}

/** The policy of limits that are decided together: the one that lets least through. */
function strictest(policies: readonly FailurePolicy[]): FailurePolicy {
  if (policies.includes('deny')) return 'deny'
  const shares = policies.filter((policy) => typeof policy === 'object').map(({ local }) => local)
  if (shares.length > 0) return { local: Math.min(...shares) }
  return policies.includes('local') ? 'local' : 'allow'
}
