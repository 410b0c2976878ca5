import type { TaskDefinition } from './task-definition.js'

/** Sources that are told apart; beyond it all are forgotten, as the threads do with what they have compiled. */
const MOST_SOURCES = 200

/** The tasks of inline functions, one per source text: of two functions, the one that ends its threads is refused alone. */
export class InlineTasks {
  readonly #define: () => TaskDefinition
  readonly #bySource = new Map<string, TaskDefinition>()

  constructor(define: () => TaskDefinition) {
    this.#define = define
  }

  of(source: string): TaskDefinition {
    let task = this.#bySource.get(source)
    if (task === undefined) {
      task = this.#define()
      if (this.#bySource.size >= MOST_SOURCES) this.#bySource.clear()
      this.#bySource.set(source, task)
    }
    return task
  }
}
