import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { binary, eventually, freePort, startNginx } from '@spillway/testkit'
import { describe, expect, it, onTestFinished } from 'vitest'
import { haproxyConfig } from '../../src/templates/haproxy.js'
import { kubernetesManifests } from '../../src/templates/kubernetes.js'
import { nginxConfig } from '../../src/templates/nginx.js'

/** An app that says what reached it. */
async function echo(): Promise<string> {
  const server = createServer((req, res) => res.end(JSON.stringify({ url: req.url, headers: req.headers })))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => void server.close())
  return `127.0.0.1:${(server.address() as AddressInfo).port}`
}

async function nginx(): Promise<number> {
  const upstreams = [await echo()]
  const server = await startNginx(({ port }) =>
    nginxConfig({ upstreams, listen: port, sticky: false }).replace(
      `listen ${port}`,
      `listen 127.0.0.1:${port}`,
    ),
  )
  onTestFinished(() => server.stop())
  return Number(new URL(server.url()).port)
}

async function haproxy(): Promise<number> {
  const port = await freePort()
  const folder = mkdtempSync(join(tmpdir(), 'spillway-edge-'))
  const file = join(folder, 'haproxy.cfg')
  const text = haproxyConfig({ upstreams: [await echo()], listen: port, sticky: false })
  writeFileSync(
    file,
    text.replace('maxconn 20000', 'maxconn 100').replace(`bind :${port}`, `bind 127.0.0.1:${port}`),
  )
  const child: ChildProcess = spawn(binary('haproxy'), ['-db', '-f', file], { stdio: 'ignore' })
  onTestFinished(async () => {
    const gone = once(child, 'exit')
    child.kill('SIGKILL')
    await gone
    rmSync(folder, { recursive: true, force: true })
  })
  await eventually(async () => expect((await ask(port, '/')).status).toBe(200), { timeout: 20_000 })
  return port
}

interface Answer {
  readonly status: number
  readonly body: string
}

/** The path as it is, which clients of Node would clean up before. */
function ask(port: number, path: string, headers: readonly string[] = []): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const client = connect({ port, host: '127.0.0.1' })
    let heard = ''
    client.on('data', (data) => {
      heard += data
    })
    client.on('error', reject)
    client.on('close', () => {
      const [head = '', body = ''] = heard.split('\r\n\r\n')
      resolve({ status: Number(head.split(' ')[1]), body: /\{.*\}/s.exec(body)?.[0] ?? '' })
    })
    client.write([`GET ${path} HTTP/1.1`, 'Host: shop', 'Connection: close', ...headers, '', ''].join('\r\n'))
  })
}

const LIE = '203.0.113.99'
const LIES = [
  `X-Forwarded-For: ${LIE}`,
  `X-Forwarded-For: ${LIE}, 10.0.0.1`,
  `Forwarded: for=${LIE};proto=https`,
  `X-Real-IP: ${LIE}`,
  `X-Client-IP: ${LIE}`,
  `True-Client-IP: ${LIE}`,
  `CF-Connecting-IP: ${LIE}`,
  `x-forwarded-FOR: ${LIE}`,
]

const PRIVATE = [
  '/metrics',
  '/metrics/',
  '/metrics?x=1',
  '/Metrics',
  '/METRICS/x',
  '//metrics',
  '/%6detrics',
  '/%6D%65trics/',
  '/./metrics',
  '/x/../metrics',
  '/x/%2e%2e/metrics',
  '/dashboard',
  '/dashboard/data',
  '/memory',
  '/memory/',
  'http://shop/metrics',
]

describe.each([
  ['nginx', nginx],
  ['haproxy', haproxy],
] as const)('S10 the printed configuration in a real %s', (_name, start) => {
  it('S10 tells the app the address that it sees, whatever a client says about itself', async () => {
    const port = await start()
    const { body } = await ask(port, '/', LIES)
    const { headers } = JSON.parse(body) as { headers: IncomingHttpHeaders }
    expect(headers['x-forwarded-for']).toBe('127.0.0.1')
    expect(headers['x-real-ip']).toBe('127.0.0.1')
    expect(headers['x-forwarded-proto']).toBe('http')
    expect(body).not.toContain(LIE)
  })

  it('S10 keeps the routes of the operator private, however they are written', async () => {
    const port = await start()
    for (const path of PRIVATE) {
      const { status, body } = await ask(port, path)
      expect([400, 403, 404], path).toContain(status)
      expect(body, path).toBe('')
    }
    for (const path of ['/', '/metricsfoo', '/a/metrics', '/memory-lane', '/x.y/..z']) {
      expect((await ask(port, path)).status, path).toBe(200)
    }
  })
})

describe('S10 what is printed', () => {
  const balancers = { upstreams: ['10.0.0.1:3000'], listen: 80, sticky: false }
  const texts = [
    nginxConfig(balancers),
    haproxyConfig(balancers),
    kubernetesManifests({ name: 'shop', image: 'shop:1', port: 3000, timeout: 30, delay: 5 }),
  ]

  it('S10 recommends to trust subnets, never everything', () => {
    for (const text of texts) {
      expect(text).not.toMatch(
        /trustProxy: true|trust proxy['"], (?:1|true)|proxy_add_x_forwarded_for|option forwardfor/,
      )
      expect(text).toMatch(/trustProxy: \["10\.0\.0\.0\/8"\]/)
      expect(text).toMatch(/maxIpsCount = 1/)
    }
  })

  it("S10 sends the operator's routes of an ingress to nowhere", () => {
    for (const path of ['metrics', 'dashboard', 'memory']) {
      expect(texts[2]).toMatch(
        new RegExp(`path: /${path}, pathType: Prefix, backend: \\{ service: \\{ name: shop-private`),
      )
    }
  })
})
