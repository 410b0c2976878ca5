import { Counter, type Registry } from 'prom-client'

/** Counts observations that could not be recorded as they came: a table was full, or a figure had no valid form. */
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
