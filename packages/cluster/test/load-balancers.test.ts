import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { binary, load, startNginx } from '@spillway/testkit'
import { describe, expect, it, onTestFinished } from 'vitest'
import { haproxyConfig } from '../src/templates/haproxy.js'
import { kubernetesManifests } from '../src/templates/kubernetes.js'
import { nginxConfig } from '../src/templates/nginx.js'
import { systemdUnit } from '../src/templates/systemd.js'
import { running } from './primary.js'

const run = promisify(execFile)
const UPSTREAMS = ['127.0.0.1:3001', '127.0.0.1:3002']

describe.each([false, true])('the printed configuration, sticky: %s', (sticky) => {
  it('is accepted by haproxy -c without a warning', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'spillway-haproxy-'))
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
    const file = join(folder, 'haproxy.cfg')
    writeFileSync(file, haproxyConfig({ upstreams: UPSTREAMS, listen: 8080, sticky }))
    const { stdout, stderr } = await run(binary('haproxy'), ['-c', '-f', file])
    expect(stdout).toMatch(/Configuration file is valid/)
    expect(stderr).not.toMatch(/WARNING|ALERT/)
  })

  it('is accepted by nginx -t', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'spillway-nginx-'))
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
    const file = join(folder, 'nginx.conf')
    const http = nginxConfig({ upstreams: UPSTREAMS, listen: 18_080, sticky })
    writeFileSync(file, `pid ${folder}/pid; error_log stderr; events {} http { access_log off; ${http} }`)
    const { stderr } = await run(binary('nginx'), ['-t', '-p', folder, '-e', 'stderr', '-c', file])
    expect(stderr).toMatch(/test is successful/)
  })
})

it('K37 nginx before two supervisors loses nothing when all of them roll', async () => {
  const supervisors = await Promise.all([running(), running()])
  const ports = await Promise.all(supervisors.map(async (each) => (await each.until('listening')).port))
  const upstreams = ports.map((port) => `127.0.0.1:${port}`)
  const nginx = await startNginx(({ port }) =>
    nginxConfig({ upstreams, listen: port, sticky: false }).replace(
      `listen ${port}`,
      `listen 127.0.0.1:${port}`,
    ),
  )
  onTestFinished(() => nginx.stop())
  const stopping = new AbortController()
  onTestFinished(() => stopping.abort())
  const loads = [
    { connections: 3, thinkTimeMs: 5 },
    { connections: 2, thinkTimeMs: 5, keepAlive: false },
  ].map((options) => load({ url: nginx.url(), durationMs: 120_000, ...options, signal: stopping.signal }))
  for (const supervisor of supervisors) {
    expect(await supervisor.call('reload')).toMatchObject({ ok: true, forced: 0 })
  }
  stopping.abort()
  for (const { failures, statuses, requests } of await Promise.all(loads)) {
    expect(failures).toEqual([])
    expect(statuses).toEqual({ 200: requests })
  }
})

describe('numbers that belong together', () => {
  it('gives Kubernetes a grace period of delay, timeout and a margin', () => {
    const yaml = kubernetesManifests({ name: 'shop', image: 'shop:1', port: 3000, timeout: 30, delay: 5 })
    expect(yaml).toMatch(/terminationGracePeriodSeconds: 45/)
    expect(yaml).toMatch(/"--drain-delay", "5s", "--drain-timeout", "30s"/)
    expect(yaml.match(/^kind: /gm)).toHaveLength(4)
  })

  it('gives systemd the same, and lets systemd-notify speak', () => {
    const unit = systemdUnit({
      name: 'shop',
      script: '/srv/shop/server.js',
      port: 3000,
      timeout: 20,
      delay: 5,
    })
    expect(unit).toMatch(/TimeoutStopSec=35/)
    expect(unit).toMatch(/Type=notify\nNotifyAccess=all/)
    expect(unit).toMatch(/WorkingDirectory=\/srv\/shop/)
  })
})
