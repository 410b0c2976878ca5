/** A batch of decisions on its way to a node, as `protocol.ts` writes it. */
export interface BatchRequest {
  /** Of all requests of this process, this one alone has the number. */
  readonly id: number
  readonly keys: readonly string[]
  readonly numbers: readonly number[]
  /** How many numbers an answer has. */
  readonly answerLength: number
  readonly node: string
  /** Milliseconds of `performance.now()` after which the answer is of no use. */
  readonly deadline: number
}

/** How buckets are spread over several nodes. */
export interface Sharding {
  /** Buckets of one slot may travel in one request. */
  slotOf(bucket: string): number
  /** The node that keeps the buckets of a slot; failures are counted per node. */
  nodeOf(slot: number): string
  /** Whether the node still keeps any slot; a failover takes its slots away. */
  knows(node: string): boolean
}

/** Adapter to the server or process that keeps the buckets. A `Batcher` is given one, and knows nothing of Redis or IPC. */
export interface Transport {
  readonly source: 'cluster' | 'redis'
  /** Left out where one node keeps all buckets; its name is `''`. */
  readonly sharding?: Sharding | undefined
  /** The bucket that a limit has for a key. */
  bucketOf(key: string, limit: string): string
  /** Sends once; rejects when there will be no answer. */
  send(request: BatchRequest): Promise<readonly number[]>
  /** Drops what is kept for a request that was answered, has failed or is too late. */
  forget(id: number): void
  /** Begins to listen; `alive` is called when a node shows a sign of life. */
  open(alive: (node: string) => void): void
  close(): void
}
