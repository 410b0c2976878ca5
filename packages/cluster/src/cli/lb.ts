import { DRAIN_DEFAULTS } from '../options.js'
import { haproxyConfig } from '../templates/haproxy.js'
import { kubernetesManifests } from '../templates/kubernetes.js'
import { nginxConfig } from '../templates/nginx.js'
import { systemdUnit } from '../templates/systemd.js'
import { parse, timeOf } from './args.js'
import { UsageError } from './usage.js'

const OPTIONS = {
  upstream: { type: 'string', multiple: true },
  listen: { type: 'string' },
  sticky: { type: 'boolean' },
  name: { type: 'string' },
  image: { type: 'string' },
  port: { type: 'string' },
  script: { type: 'string' },
  'drain-timeout': { type: 'string' },
  'drain-delay': { type: 'string' },
} as const

const PRINTERS: Readonly<
  Record<string, (given: ReturnType<typeof parse<typeof OPTIONS>>['values']) => string>
> = {
  nginx: ({ upstream = [], listen, sticky }) =>
    nginxConfig({
      upstreams: upstream.map(upstreamOf),
      listen: portOf(listen, 8080),
      sticky: sticky === true,
    }),
  haproxy: ({ upstream = [], listen, sticky }) =>
    haproxyConfig({
      upstreams: upstream.map(upstreamOf),
      listen: portOf(listen, 8080),
      sticky: sticky === true,
    }),
  k8s: ({ name = 'app', image = 'registry.example.com/app:1.0.0', port, ...drain }) =>
    kubernetesManifests({ name, image, port: portOf(port, 3000), ...drainOf(drain) }),
  systemd: ({ name = 'app', script = '/srv/app/server.js', port, ...drain }) =>
    systemdUnit({ name, script, port: portOf(port, 3000), ...drainOf(drain) }),
}

/** `spillway lb nginx --upstream 10.0.0.1:3000 --upstream 10.0.0.2:3000` */
export function loadBalancer(args: string[]): void {
  const { values, positionals } = parse(args, OPTIONS)
  const [kind = ''] = positionals
  const print = Object.hasOwn(PRINTERS, kind) ? PRINTERS[kind] : undefined
  if (print === undefined)
    throw new UsageError(`lb prints ${Object.keys(PRINTERS).join(', ')}, not "${kind}".`)
  if ((kind === 'nginx' || kind === 'haproxy') && values.upstream === undefined) {
    throw new UsageError(`lb ${kind} needs --upstream host:port, once for each supervisor.`)
  }
  process.stdout.write(print(values))
}

function upstreamOf(text: string): string {
  if (!/^(\[[\da-f:]+\]|[\w.-]+):\d{1,5}$/i.test(text)) throw new UsageError(`"${text}" is not host:port.`)
  return text
}

function portOf(text: string | undefined, fallback: number): number {
  const port = Number(text ?? fallback)
  if (!Number.isInteger(port) || port < 1 || port > 65_535) throw new UsageError(`"${text}" is no port.`)
  return port
}

/** Time for a load balancer to notice that readiness answers 503. (The supervisor's default of 0 suits a service without one.) */
const DELAY = 5_000

function seconds(text: string | undefined, fallback: number): number {
  return Math.ceil((text === undefined ? fallback : timeOf(text)) / 1_000)
}

function drainOf(given: { 'drain-timeout'?: string | undefined; 'drain-delay'?: string | undefined }) {
  return {
    timeout: seconds(given['drain-timeout'], DRAIN_DEFAULTS.timeout),
    delay: seconds(given['drain-delay'], DELAY),
  }
}
