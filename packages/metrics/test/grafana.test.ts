import { describe, expect, it } from 'vitest'
import { grafanaBoard, Metrics } from '../src/index.js'

interface Board {
  readonly templating: { readonly list: readonly unknown[] }
  readonly panels: readonly {
    readonly id: number
    readonly type: string
    readonly gridPos: { x: number; y: number; w: number; h: number }
    readonly datasource?: { uid: string }
    readonly targets?: readonly { expr: string }[]
  }[]
}

const board = (options?: object) => grafanaBoard(options) as object as Board

describe('grafanaBoard', () => {
  it('asks only for metrics that exist', async () => {
    const metrics = new Metrics()
    metrics.requests.begin()({ method: 'GET', route: '/', status: 200 })
    const { body } = await metrics.expose()
    await metrics.close()
    const asked = board()
      .panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr))
      .join('\n')
    const names = new Set(asked.match(/\b(http|spillway_process)_[a-z_]+/g))
    expect(names.size).toBeGreaterThan(5)
    for (const name of names) expect(body).toMatch(new RegExp(`^${name}[{ ]`, 'm'))
  })

  it('places its panels side by side, none over another, each with an id of its own', () => {
    const { panels } = board()
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length)
    const taken = new Set<string>()
    for (const { gridPos } of panels) {
      expect(gridPos.x + gridPos.w).toBeLessThanOrEqual(24)
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++) {
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
          expect(taken.has(`${x},${y}`)).toBe(false)
          taken.add(`${x},${y}`)
        }
      }
    }
  })

  it('lets the viewer pick the data source, or takes the one it is given', () => {
    expect(board().templating.list).toHaveLength(1)
    expect(board({ datasource: 'prom' }).templating.list).toHaveLength(0)
    expect(
      board({ datasource: 'prom' }).panels.find(({ type }) => type === 'timeseries')?.datasource?.uid,
    ).toBe('prom')
    expect(() => grafanaBoard({ datasource: '' })).toThrow(
      expect.objectContaining({ code: 'ERR_METRICS_OPTION' }),
    )
  })
})
