import { describe, expect, it } from 'vitest'
import { classify, isConnectionFailure } from '../src/errno.js'

describe('classify', () => {
  it('goes by errno, not by name', () => {
    const error = (fields: object) => Object.assign(new Error('x'), fields)
    expect(classify(error({ errno: 1213 }))).toEqual({ kind: 'deadlock', retryable: true, outcome: 'none' })
    expect(classify(error({ errno: 1969 })).kind).toBe('statement-timeout')
    expect(classify(error({ code: 'ECONNRESET', errno: -104 }))).toMatchObject({
      kind: 'connection',
      outcome: 'unknown',
    })
    expect(classify(error({ code: 'ER_SOMETHING_NEW', errno: 9999 })).kind).toBe('statement')
    expect(isConnectionFailure(error({ code: 'PROTOCOL_CONNECTION_LOST' }))).toBe(true)
    expect(isConnectionFailure(error({ errno: 1064, code: 'ER_PARSE_ERROR' }))).toBe(false)
    expect(classify('nothing').kind).toBe('statement')
  })
})
