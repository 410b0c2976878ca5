import type { MysqlPool } from '../src/index.js'

/** The error of a promise that must reject. */
export async function rejection(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    (value) => {
      throw new Error(`it should have failed, and gave ${JSON.stringify(value)}`)
    },
    (error: unknown) => error,
  )
}

export function latch(): { readonly opened: Promise<void>; open(): void } {
  let open!: () => void
  const opened = new Promise<void>((resolve) => {
    open = resolve
  })
  return { opened, open }
}

/** Keeps a connection until it is told to give it back. */
export async function hold(pool: MysqlPool, sql = 'SELECT 1'): Promise<() => Promise<void>> {
  const taken = latch()
  const back = latch()
  const held = pool.withConnection(async (connection) => {
    await connection.query(sql)
    taken.open()
    await back.opened
  })
  await taken.opened
  return () => {
    back.open()
    return held
  }
}
