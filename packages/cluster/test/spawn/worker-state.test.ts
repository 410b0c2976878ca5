import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { isOver, nextState, type WorkerEvent, type WorkerState } from '../../src/spawn/worker-state.js'

const STATES: WorkerState[] = ['starting', 'ready', 'suspect', 'draining', 'stopped', 'failed']
const EVENTS: WorkerEvent[] = ['ready', 'late', 'beat', 'drain', 'exit']

describe('the life of a worker', () => {
  it('leads from the fork to a stop in order', () => {
    const path: WorkerEvent[] = ['ready', 'late', 'beat', 'drain', 'exit']
    const states: WorkerState[] = ['starting']
    for (const event of path) states.push(nextState(states.at(-1)!, event)!)
    expect(states).toEqual(['starting', 'ready', 'suspect', 'ready', 'draining', 'stopped'])
  })

  it('fails when the process ends without having been told to', () => {
    for (const state of ['starting', 'ready', 'suspect'] as const) {
      expect(nextState(state, 'exit')).toBe('failed')
    }
  })

  it('is over after an exit, and nothing brings it back', () => {
    for (const state of STATES.filter(isOver)) {
      for (const event of EVENTS) expect(nextState(state, event)).toBeUndefined()
    }
    for (const state of STATES.filter((each) => !isOver(each))) {
      expect(isOver(nextState(state, 'exit')!)).toBe(true)
    }
  })

  it('never becomes ready again once it drains', () => {
    expect(nextState('draining', 'ready')).toBeUndefined()
    expect(nextState('draining', 'beat')).toBeUndefined()
  })

  it('is drawn in the documentation as it is', () => {
    const text = readFileSync(new URL('../../../../docs/packages/cluster.md', import.meta.url), 'utf8')
    const drawn = [...text.matchAll(/^ {4}(\w+) --> (\w+):/gm)].map(([, from, to]) => `${from} ${to}`)
    const possible = STATES.flatMap((state) =>
      EVENTS.map((event) => nextState(state, event)).flatMap((next) => (next ? [`${state} ${next}`] : [])),
    )
    expect(drawn.sort()).toEqual(possible.sort())
  })
})
