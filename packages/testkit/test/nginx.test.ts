import { once } from 'node:events'
import { createServer } from 'node:http'
import { describe, expect, it } from 'vitest'
import { eventually, isAlive, processTree, startNginx } from '../src/index.js'

const HELLO = 'server { listen {{host}}:{{port}}; location / { return 200 "hello from {{port}}"; } }'

describe('a private nginx', () => {
  it('serves what a text configures', async () => {
    await using nginx = await startNginx(HELLO)
    const response = await fetch(nginx.url())
    expect(await response.text()).toBe(`hello from ${nginx.port}`)
  })

  it('proxies with large bodies in its own folder, reloads, and stops with its workers', async () => {
    const app = createServer((request, response) => {
      let bytes = 0
      request.on('data', (piece) => {
        bytes += piece.length
      })
      request.on('end', () => response.end(String(bytes)))
    }).listen(0, '127.0.0.1')
    await once(app, 'listening')
    const address = app.address()
    const upstream = address !== null && typeof address === 'object' ? address.port : 0
    let version = 1
    await using nginx = await startNginx(
      ({ host, port }) => `server {
        listen ${host}:${port};
        client_max_body_size 4m;
        add_header X-Version ${version};
        location / { proxy_pass http://127.0.0.1:${upstream}; }
      }`,
    )
    const body = 'x'.repeat(2_000_000)
    const response = await fetch(nginx.url('/any'), { method: 'POST', body })
    expect([response.status, await response.text()]).toEqual([200, '2000000'])
    version = 2
    nginx.reload()
    await eventually(async () => (await fetch(nginx.url())).headers.get('x-version') === '2')
    const tree = processTree(nginx.pid)
    expect(tree.length).toBeGreaterThan(1)
    await nginx.stop()
    expect(tree.filter(isAlive)).toEqual([])
    await new Promise((resolve) => app.close(resolve))
  })

  it('takes its workers along when it is killed', async () => {
    await using nginx = await startNginx(HELLO)
    const tree = processTree(nginx.pid)
    await nginx.kill()
    await eventually(() => tree.every((pid) => !isAlive(pid)))
    await nginx.restart()
    expect((await fetch(nginx.url())).status).toBe(200)
  })

  it('tells what nginx says about a wrong configuration', async () => {
    await expect(startNginx('no_such_directive on;')).rejects.toThrow(/unknown directive "no_such_directive"/)
  })
})
