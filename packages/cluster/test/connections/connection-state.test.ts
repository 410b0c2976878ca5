import { describe, expect, it } from 'vitest'
import {
  type ConnectionEvent,
  type ConnectionState,
  nextState,
} from '../../src/connections/connection-state.js'

describe('the states of a connection', () => {
  const states: ConnectionState[] = [
    'handshake',
    'foreign',
    'fresh',
    'receiving',
    'answering',
    'between',
    'http2',
    'websocket',
    'tunnel',
    'moved',
    'closing',
  ]

  it('S1 K52 allow a move between two exchanges of HTTP/1 only, and nothing after it', () => {
    const from = (event: ConnectionEvent) => states.filter((state) => nextState(state, event) !== undefined)
    expect(from('move')).toEqual(['fresh', 'between'])
    expect(from('close')).toEqual(['handshake', 'fresh', 'between'])
    for (const event of ['partial', 'request', 'answered', 'move', 'close'] as const) {
      for (const over of ['moved', 'closing', 'tunnel', 'http2', 'websocket'] as const) {
        expect(nextState(over, event)).toBeUndefined()
      }
    }
  })
})
