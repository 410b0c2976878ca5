/** Where a worker's watchdog thread reaches the supervisor when the main thread cannot. */
export const WATCHDOG_FD = 4
