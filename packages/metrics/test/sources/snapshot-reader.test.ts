import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { SnapshotReader } from '../../src/sources/snapshot-reader.js'

const read = (schema: object, snapshot: object) => [...new SnapshotReader(schema).read(snapshot)]

describe('how a stats() snapshot becomes figures', () => {
  it('names nested figures by their path, in snake case', () => {
    expect(read({}, { queue: { expectedWait: 3, size: 2n }, up: true })).toEqual([
      { name: 'queue_expected_wait', kind: 'sum', labels: {}, value: 3 },
      { name: 'queue_size', kind: 'sum', labels: {}, value: 2 },
      { name: 'up', kind: 'sum', labels: {}, value: 1 },
    ])
  })

  it('marks counters, and turns milliseconds into seconds', () => {
    const schema = { counters: ['hits', 'busy'], milliseconds: ['busy', 'wait.*'], greatest: ['wait.*'] }
    expect(read(schema, { hits: 7, busy: 1_500, wait: { p50: 2, p99: 250 } })).toEqual([
      { name: 'hits_total', kind: 'counter', labels: {}, value: 7 },
      { name: 'busy_seconds_total', kind: 'counter', labels: {}, value: 1.5 },
      { name: 'wait_p50_seconds', kind: 'max', labels: {}, value: 0.002 },
      { name: 'wait_p99_seconds', kind: 'max', labels: {}, value: 0.25 },
    ])
  })

  it('turns the keys of records and the names of listed items into labels', () => {
    const schema = { records: { tasks: 'task', replicas: 'replica' }, counters: ['tasks.*.done'] }
    const snapshot = {
      tasks: { resize: { done: 3 }, hash: { done: 1 } },
      replicas: [{ id: 'r1', lag: 4 }, { lag: 5 }],
    }
    expect(read(schema, snapshot)).toEqual([
      { name: 'tasks_done_total', kind: 'counter', labels: { task: 'resize' }, value: 3 },
      { name: 'tasks_done_total', kind: 'counter', labels: { task: 'hash' }, value: 1 },
      { name: 'replicas_lag', kind: 'sum', labels: { replica: 'r1' }, value: 4 },
      { name: 'replicas_lag', kind: 'sum', labels: { replica: '1' }, value: 5 },
    ])
  })

  it('exports words only where the schema says that they are few', () => {
    expect(read({ states: ['level'] }, { level: 'critical', error: 'whatever came' })).toEqual([
      { name: 'level', kind: 'sum', labels: { state: 'critical' }, value: 1 },
    ])
  })

  it('leaves out what is not a number, what is listed to be left out, and unlisted arrays', () => {
    expect(
      read({ omit: ['secret'] }, { secret: { a: 1 }, nan: Number.NaN, max: Infinity, none: null, list: [1] }),
    ).toEqual([])
  })

  it('gives valid Prometheus names and finite values for any snapshot', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string({ minLength: 1 }), fc.anything()), (snapshot) => {
        for (const { name, value } of read({}, snapshot)) {
          expect(`spillway_x_${name}`).toMatch(/^[a-zA-Z_:][a-zA-Z0-9_:]*$/)
          expect(Number.isFinite(value)).toBe(true)
        }
      }),
    )
  })
})
