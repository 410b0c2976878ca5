import { Counter, type Registry } from 'prom-client'

/** Counts what is not recorded as it came, because a table is full or a figure is none. */
export class DroppedCounter {
  readonly #counter: Counter<'metric'>

  constructor(registry: Registry) {
    this.#counter = new Counter({
      name: 'spillway_metrics_dropped_total',
      help: 'Observations that were left out, or counted under (other), because their metric has too many series',
      labelNames: ['metric'],
      registers: [registry],
    })
  }

  note(metric: string): void {
    this.#counter.inc({ metric })
  }
}
