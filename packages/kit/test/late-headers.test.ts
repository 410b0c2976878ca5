import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, expect, it } from 'vitest'
import { addLate } from '../src/index.js'
import { ask } from '../testing/index.js'

/** What a client gets when the response is sent in this way. */
async function answered(send: (res: ServerResponse) => void) {
  const server = createServer((_req, res) => {
    let calls = 0
    addLate(res, () => [
      ['Set-Cookie', 'late=1'],
      ['X-Calls', String(++calls)],
    ])
    send(res)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  try {
    const { status, headers } = await ask(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`)
    return { status, cookies: headers['set-cookie'], calls: headers['x-calls'], own: headers['x-own'] }
  } finally {
    server.close()
  }
}

describe('headers that are added late', () => {
  it.each<[string, (res: ServerResponse) => void]>([
    [
      'an implicit head',
      (res) => res.setHeader('set-cookie', ['a=1', 'b=2']).setHeader('x-own', 'x').end('x'),
    ],
    [
      'writeHead with an object',
      (res) => res.writeHead(200, { 'Set-Cookie': ['a=1', 'b=2'], 'x-own': 'x' }).end(),
    ],
    [
      'writeHead with a message and an object, over headers that were set',
      (res) =>
        res
          .setHeader('Set-Cookie', 'gone=1')
          .writeHead(200, 'Fine', { 'set-cookie': ['a=1', 'b=2'], 'x-own': 'x' })
          .end(),
    ],
    [
      'writeHead with a list',
      (res) => res.writeHead(200, ['Set-Cookie', 'a=1', 'Set-Cookie', 'b=2', 'X-Own', 'x']).end(),
    ],
    [
      'all headers removed before',
      (res) => {
        res.setHeader('x-other', 'y')
        for (const name of res.getHeaderNames()) res.removeHeader(name)
        res.setHeader('x-own', 'x').appendHeader('Set-Cookie', 'a=1').appendHeader('Set-Cookie', 'b=2').end()
      },
    ],
  ])('come after the own ones, once: %s', async (_how, send) => {
    expect(await answered(send)).toEqual({
      status: 200,
      cookies: ['a=1', 'b=2', 'late=1'],
      calls: '1',
      own: 'x',
    })
  })
})
