import { Breaker } from './breaker.js'

/** How often to look whether nodes that are down are still part of the cluster, in milliseconds. */
const LOOK_AGAIN = 500

/** Health check of the nodes of a shared store: a circuit breaker for each, and the set of those that are down. */
export class NodeHealth {
  readonly #breakers = new Map<string, Breaker>()
  readonly #down = new Set<string>()
  readonly #knows: (node: string) => boolean
  readonly #onChange: (node: string, reason: Error | undefined) => void
  #lookAgainAt = 0

  /**
   * @param knows whether a node still keeps any slot
   * @param onChange a node went down, with the reason, or is up again, without
   */
  constructor(knows: (node: string) => boolean, onChange: (node: string, reason: Error | undefined) => void) {
    this.#knows = knows
    this.#onChange = onChange
  }

  /** Whether no node is down. Nodes that keep no slot any more do not count. */
  get isUp(): boolean {
    for (const node of this.#down) if (this.#knows(node)) return false
    return true
  }

  /** Whether a request may be sent to the node now. */
  admits(node: string, now: number): boolean {
    return this.#breakerOf(node).admits(now)
  }

  /** @param sent when the request left, in milliseconds of `performance.now()` */
  succeeded(node: string, sent: number): void {
    if (this.#breakerOf(node).succeeded()) this.#change(node, undefined)
    if (this.#down.size > 0) this.#forgetStrangers(sent)
  }

  failed(node: string, reason: Error): void {
    if (this.#breakerOf(node).failed(performance.now())) this.#change(node, reason)
  }

  /** The node has shown a sign of life: the next request may try it. */
  retryNow(node: string): void {
    this.#breakers.get(node)?.retryNow()
  }

  #breakerOf(node: string): Breaker {
    let breaker = this.#breakers.get(node)
    if (breaker === undefined) this.#breakers.set(node, (breaker = new Breaker()))
    return breaker
  }

  /** A node that lost its slots gets no more requests, so no answer of its own would end its outage. */
  #forgetStrangers(now: number): void {
    if (now < this.#lookAgainAt) return
    this.#lookAgainAt = now + LOOK_AGAIN
    for (const node of this.#down) {
      if (this.#knows(node)) continue
      this.#breakers.delete(node)
      this.#change(node, undefined)
    }
  }

  #change(node: string, reason: Error | undefined): void {
    if (reason === undefined) this.#down.delete(node)
    else this.#down.add(node)
    this.#onChange(node, reason)
  }
}
