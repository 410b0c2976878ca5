import { count, maybe, messages, number, text } from '@spillway/kit/message'
import { seriesField } from './series-field.js'

/** Names one `Metrics` of one process: a worker may have several. */
const link = text(36)
const id = count()

/**
 * The protocol between a worker and its primary, over the IPC channel of `node:cluster`.
 *
 * - `hello`, worker: it has figures. `serving`, primary: it collects them; a worker that has not said hello says it now.
 *   `ended`, primary: it no longer collects.
 * - `collect`, primary to each worker that said hello: asks for its figures; `collected`, the answer.
 * - `report`, worker, about once a second: the counters that have changed since its last `report` or `collected`, so that a
 *   worker that is killed takes no more than that along.
 * - `farewell`, worker, before it ends: its last figures.
 * - `gather`, worker: a scraper asked it for the figures of all workers, no older than `maxAge`; it has those of number
 *   `have`. `gathered`, the answer; without series when those are the newest.
 */
export const parse = messages('metrics', {
  hello: { link },
  serving: {},
  ended: {},
  collect: { id },
  collected: { link, id, series: seriesField },
  report: { link, series: seriesField },
  farewell: { link, series: seriesField },
  gather: { link, id, maxAge: number(0), have: count() },
  gathered: {
    link,
    id,
    number: count(),
    at: number(0),
    series: maybe(seriesField),
    workers: count(),
    missing: count(),
  },
})

export type Message = NonNullable<ReturnType<typeof parse>>
