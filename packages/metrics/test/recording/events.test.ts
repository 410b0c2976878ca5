import diagnosticsChannel from 'node:diagnostics_channel'
import { readFileSync } from 'node:fs'
import { afterEach, describe, expect, it } from 'vitest'
import { Metrics } from '../../src/index.js'
import { COUNTED_BY_STATS, EVENTS } from '../../src/recording/events.js'

const open: Metrics[] = []
afterEach(() => Promise.all(open.splice(0).map((metrics) => metrics.close())))

describe('the events of the other packages', () => {
  it('knows every channel there is, and none that is not', () => {
    const table = readFileSync(new URL('../../../../docs/reference/channels.md', import.meta.url), 'utf8')
    const published = [...table.matchAll(/^\| `(spillway:[a-z]+:[a-z-]+)`/gm)].map(([, name]) => name)
    expect([...Object.keys(EVENTS), ...COUNTED_BY_STATS].sort()).toEqual(published.sort())
  })

  it('counts by the labels of each message, and takes durations as a histogram in seconds', async () => {
    const metrics = new Metrics()
    open.push(metrics)
    diagnosticsChannel
      .channel('spillway:limiter:denied')
      .publish({ limit: 'login', source: 'redis', retryAfter: 5 })
    diagnosticsChannel
      .channel('spillway:limiter:denied')
      .publish({ limit: 'login', source: 'redis', retryAfter: 5 })
    diagnosticsChannel.channel('spillway:cache:load').publish({ cache: 'c', ok: true, milliseconds: 30 })
    diagnosticsChannel
      .channel('spillway:cache:load')
      .publish({ cache: 'c', ok: true, milliseconds: Number.NaN })
    const { body } = await metrics.expose()
    expect(body).toContain('spillway_limiter_denied_events_total{limit="login",source="redis"} 2')
    expect(body).toContain('spillway_cache_load_seconds_bucket{le="0.05",cache="c",ok="true"} 1')
    expect(body).toContain('spillway_cache_load_seconds_count{cache="c",ok="true"} 1')
  })
})
