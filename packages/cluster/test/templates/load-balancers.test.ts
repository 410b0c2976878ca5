import { execFile } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { binary, load, startNginx } from '@spillway/testkit'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { loadBalancer } from '../../src/cli/lb.js'
import { DRAIN_DEFAULTS, HEARTBEAT_DEFAULTS, SUPERVISOR_DEFAULTS } from '../../src/options.js'
import { haproxyConfig } from '../../src/templates/haproxy.js'
import { kubernetesManifests } from '../../src/templates/kubernetes.js'
import { nginxConfig } from '../../src/templates/nginx.js'
import { systemdUnit } from '../../src/templates/systemd.js'
import { running } from '../primary.js'

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
  const drain = { timeout: DRAIN_DEFAULTS.timeout / 1_000, delay: 5 }
  const yaml = kubernetesManifests({ name: 'shop', image: 'shop:1', port: 3000, ...drain })
  const unit = systemdUnit({ name: 'shop', script: '/srv/shop/server.js', port: 3000, ...drain })
  const balancers = { upstreams: UPSTREAMS, listen: 8080, sticky: false }

  /** The numbers of one of Kubernetes' probes; its own defaults where it says nothing. */
  function probe(name: string): { periodSeconds: number; failureThreshold: number; timeoutSeconds: number } {
    const [text = ''] = new RegExp(`${name}:(?:\\n {12}.*)+`).exec(yaml) ?? []
    const said = (key: string, otherwise: number) =>
      Number(new RegExp(`${key}: (\\d+)`).exec(text)?.[1] ?? otherwise)
    return {
      periodSeconds: said('periodSeconds', 10),
      failureThreshold: said('failureThreshold', 3),
      timeoutSeconds: said('timeoutSeconds', 1),
    }
  }

  it('are the defaults of the command line', () => {
    const print = vi.spyOn(process.stdout, 'write').mockReturnValue(true)
    loadBalancer(['k8s', '--name', 'shop', '--image', 'shop:1'])
    loadBalancer(['systemd', '--name', 'shop', '--script', '/srv/shop/server.js'])
    expect(print.mock.calls.map(([text]) => text)).toEqual([yaml, unit])
  })

  it('give Kubernetes a grace period of delay, timeout and a margin, and our own supervisor time for both', () => {
    expect(yaml).toMatch(/terminationGracePeriodSeconds: 55/)
    expect(yaml).toMatch(/"--drain-delay", "5s", "--drain-timeout", "30s"/)
    expect(yaml.match(/^kind: /gm)).toHaveLength(6)
  })

  it('take a pod out by readiness before its listener closes', () => {
    const { periodSeconds, failureThreshold, timeoutSeconds } = probe('readinessProbe')
    expect(periodSeconds * failureThreshold + timeoutSeconds).toBeLessThan(drain.delay)
  })

  it('let the supervisor replace a hung worker before Kubernetes restarts the pod, and start as long as we would wait', () => {
    const live = probe('livenessProbe')
    const { deadline } = HEARTBEAT_DEFAULTS
    expect(live.periodSeconds * live.failureThreshold).toBeGreaterThan(2 * (deadline / 1_000))
    expect(yaml).toContain(`heartbeat deadline ${deadline / 1_000} s`)
    const start = probe('startupProbe')
    expect(start.periodSeconds * start.failureThreshold).toBeGreaterThan(
      SUPERVISOR_DEFAULTS.startTimeout / 1_000,
    )
  })

  it('give systemd the same, and let systemd-notify speak', () => {
    expect(unit).toMatch(/TimeoutStopSec=55/)
    expect(unit).toMatch(/Type=notify\nNotifyAccess=all/)
    expect(unit).toMatch(/WorkingDirectory=\/srv\/shop/)
  })

  it('start the supervisor itself, not something that keeps its signals', () => {
    const cli = 'node_modules/@spillway/cluster/bin/spillway.js'
    expect(unit).toContain(`ExecStart=/usr/bin/node ${cli} start /srv/shop/server.js`)
    expect(yaml).toContain(`command: ["node", "${cli}", "start"`)
    expect(existsSync(new URL('../../bin/spillway.js', import.meta.url))).toBe(true)
  })

  it('close idle upstream connections in the balancer before Node does', () => {
    const { keepAliveTimeout } = createServer()
    const upstream = /keepalive_timeout (\d+)s/.exec(nginxConfig(balancers))?.[1]
    const pool = /pool-purge-delay (\d+)s/.exec(haproxyConfig(balancers))?.[1]
    for (const seconds of [upstream, pool]) expect(Number(seconds) * 1_000).toBeLessThan(keepAliveTimeout)
  })
})
