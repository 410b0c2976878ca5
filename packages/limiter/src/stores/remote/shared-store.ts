import { EventEmitter } from 'node:events'
import { type CloseOptions, channel, closeOnce, notify } from '@spillway/kit'
import type { BucketNames } from '../../bucket/bucket-names.js'
import type { Decision } from '../../bucket/decision.js'
import type { Limit } from '../../bucket/limit.js'
import type { BucketSettings, Store, StoreStats } from '../../bucket/store.js'
import { Batcher } from './batcher.js'
import { NodeHealth } from './node-health.js'
import { SharedBuckets } from './shared-buckets.js'
import type { Transport } from './transport.js'

/** A shared store, or a node of it, stopped answering or answers again. */
export interface StoreChange {
  readonly store: 'cluster' | 'redis'
  /** The node of a Redis Cluster; `''` where there is only one. */
  readonly node: string
  /** What went wrong; `undefined` when the node is up again. */
  readonly reason: Error | undefined
}

/** Events of a shared store. */
export interface StoreEvents {
  down: [change: StoreChange]
  up: [change: StoreChange]
}

const changes = channel<{ store: string; node: string; up: boolean; reason: string | undefined }>(
  'spillway:limiter:store',
)

/** Facade of a store that several processes share: `redisStore()` and `clusterStore()` make one, each over its transport. */
export class SharedStore extends EventEmitter<StoreEvents> implements Store<Promise<Decision>> {
  readonly #transport: Transport
  readonly #names: BucketNames
  readonly #health: NodeHealth
  readonly #batcher: Batcher

  /** @param deadline milliseconds that a decision may take */
  constructor(transport: Transport, names: BucketNames, deadline: number) {
    super()
    this.#transport = transport
    this.#names = names
    this.#health = new NodeHealth(
      (node) => transport.sharding?.knows(node) ?? true,
      (node, reason) => this.#changed(node, reason),
    )
    this.#batcher = new Batcher(transport, this.#health, deadline)
    transport.open((node) => this.#health.retryNow(node))
  }

  open(limit: Limit, settings: BucketSettings): SharedBuckets {
    const claim = this.#names.claim(limit, settings.named, settings.scope)
    if (claim.ordinal > 1 && this.#names.isShared) warnOfOrder(limit)
    return new SharedBuckets(this.#batcher, [limit], [claim], settings)
  }

  /** Figures of the store in this process. */
  stats(): StoreStats {
    return {
      store: this.#transport.source,
      keys: 0,
      bytes: 0,
      evictions: 0,
      forgivenTokens: 0,
      calls: this.#batcher.calls,
      failures: this.#batcher.failures,
      up: this.#health.isUp,
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /** Stops asking; calls in flight are decided by the policy for failures. The client stays open. */
  readonly close: (options?: CloseOptions) => Promise<void> = closeOnce(() => {
    this.#batcher.close()
    this.#transport.close()
  })

  #changed(node: string, reason: Error | undefined): void {
    const store = this.#transport.source
    const up = reason === undefined
    changes.publish(() => ({ store, node, up, reason: reason?.message }))
    if (!up && this.listenerCount('down') === 0) warnOfOutage(store, reason)
    notify(this, up ? 'up' : 'down', { store, node, reason })
  }
}

/** An app without a listener should not learn of an outage from its users. */
function warnOfOutage(store: string, reason: Error): void {
  process.emitWarning(
    `The rate limiter's ${store} store is down (${reason.message}); each limiter decides by its "onStoreFailure". Listen to "down" and "up" of the store to handle this.`,
    { code: 'SPILLWAY_STORE_DOWN' },
  )
}

let hasWarnedOfOrder = false

/** Warns once per process; with names, nothing depends on the order. */
function warnOfOrder({ name }: Limit): void {
  if (hasWarnedOfOrder) return
  hasWarnedOfOrder = true
  process.emitWarning(
    `Several limiters without a name have the limit "${name}" in one shared store. Each has buckets of its own, told apart by the order in which this process made them; give each a "name", so that all processes agree in any order.`,
    { code: 'SPILLWAY_LIMIT_UNNAMED' },
  )
}
