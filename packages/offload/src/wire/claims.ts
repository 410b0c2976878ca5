/**
 * How many tasks a thread may hold at a time: the one that runs and those posted ahead. As each has a cell of its own,
 * their tickets must lie closer together than this.
 */
export const CLAIMS = 16

const CANCELLED = 0
/** Of the task that ended its thread: its ticket, and the number of its function and one. */
const BLAMED = 1
const BLAMED_TASK = 2
const FIRST = 3
/** A multiple of the number of cells, so that neighbours have neighbouring cells also where tickets start again. */
const TICKETS = 2 ** 30

/**
 * Ownership of posted tasks, in memory that a thread shares with the main thread. Each posted task has a ticket in a cell. The
 * side that takes the ticket out owns the task: the thread runs it, or the main thread takes it back. So the main thread knows
 * whether a task has started, even after its thread has ended. Further cells hold the cancelled task, and the task that ended
 * the thread.
 */
export class Claims {
  readonly cells: Int32Array

  constructor(cells: Int32Array = new Int32Array(new SharedArrayBuffer(4 * (FIRST + CLAIMS)))) {
    this.cells = cells
  }

  offer(ticket: number): void {
    Atomics.store(this.cells, cellOf(ticket), ticket)
  }

  /** Takes the ticket out; false when the other side has it. */
  take(ticket: number): boolean {
    return Atomics.compareExchange(this.cells, cellOf(ticket), ticket, 0) === ticket
  }

  cancel(ticket: number): void {
    Atomics.store(this.cells, CANCELLED, ticket)
  }

  isCancelled(ticket: number): boolean {
    return Atomics.load(this.cells, CANCELLED) === ticket
  }

  /** Names the task that ended the thread. The first one counts: later errors are its consequence. */
  blame({ ticket, task }: { readonly ticket: number; readonly task: number }): void {
    if (Atomics.compareExchange(this.cells, BLAMED, 0, ticket) === 0) {
      Atomics.store(this.cells, BLAMED_TASK, task + 1)
    }
  }

  /** The task that ended the thread, if known. */
  get blamed(): { readonly ticket: number; readonly task: number } | undefined {
    const ticket = Atomics.load(this.cells, BLAMED)
    return ticket === 0 ? undefined : { ticket, task: Atomics.load(this.cells, BLAMED_TASK) - 1 }
  }
}

/** Tickets count from 1 up, and start again after the last one; 0 is an empty cell. */
export function ticketAfter(ticket: number): number {
  return ticket === TICKETS ? 1 : ticket + 1
}

/** How far one ticket is ahead of an earlier one. */
export function distance(ticket: number, earlier: number): number {
  return (ticket - earlier + TICKETS) % TICKETS
}

function cellOf(ticket: number): number {
  return FIRST + (ticket % CLAIMS)
}
