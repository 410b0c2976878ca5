/**
 * How many tasks a thread may hold at a time: the one that runs and those posted ahead. As each has a cell of its own,
 * their tickets must lie closer together than this.
 */
export const CLAIMS = 16

const FIRST = 1
/** A multiple of the number of cells, so that neighbours have neighbouring cells also where tickets start again. */
const TICKETS = 2 ** 30

/**
 * Memory that a thread and the main thread share, about the tasks between them. Each posted task has a ticket in a cell,
 * and whoever takes it out owns the task: the thread runs it, or the main thread has it back. So it is always known
 * whether a task has started, also after its thread is dead. One more cell says which task is cancelled.
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
    Atomics.store(this.cells, 0, ticket)
  }

  isCancelled(ticket: number): boolean {
    return Atomics.load(this.cells, 0) === ticket
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
