import { command } from '../control/control-client.js'
import type { ReloadResult } from '../events.js'
import type { SupervisorStats } from '../stats.js'
import { parse } from './args.js'
import { socketOf } from './names.js'
import { statusTable } from './tables.js'
import { UsageError } from './usage.js'

/** `spillway status` */
export async function status(args: string[]): Promise<void> {
  const { values, positionals } = parse(args, { json: { type: 'boolean' } })
  const stats = await command<SupervisorStats>(socketOf(positionals[0]), 'status')
  console.log(values.json ? JSON.stringify(stats, null, 2) : statusTable(stats))
}

/** `spillway reload`. @throws Error when the new version was refused */
export async function reload(args: string[]): Promise<void> {
  const { positionals } = parse(args, {})
  type Answer = Omit<ReloadResult, 'error'> & { readonly error?: string }
  const { ok, replaced, forced, lost, milliseconds, error } = await command<Answer>(
    socketOf(positionals[0]),
    'reload',
  )
  if (!ok) throw new Error(`the new version was refused, the old one serves on: ${error}`)
  const killed = forced > 0 ? `, ${forced} of them had to be killed` : ''
  const cut = lost > 0 ? `; ${lost} requests were cut off` : ''
  console.log(`${replaced} workers replaced in ${(milliseconds / 1_000).toFixed(1)} s${killed}${cut}`)
}

/** `spillway scale web 4`. @throws UsageError without a number */
export async function scale(args: string[]): Promise<void> {
  const { positionals } = parse(args, {})
  const number = Number(positionals.at(-1))
  if (!Number.isInteger(number) || number < 1)
    throw new UsageError('scale takes a number: spillway scale web 4')
  await command(socketOf(positionals.length > 1 ? positionals[0] : undefined), 'scale', { workers: number })
  console.log(`${number} workers`)
}

/** `spillway stop`: returns when the supervisor has ended. */
export async function stop(args: string[]): Promise<void> {
  const { positionals } = parse(args, {})
  const path = socketOf(positionals[0])
  await command(path, 'stop')
  // The socket goes away when everything is over.
  while (await command(path, 'status').then(Boolean, () => false)) {
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  console.log('stopped')
}

/** `spillway reopen`: the supervisor opens its log file again. */
export async function reopen(args: string[]): Promise<void> {
  const { positionals } = parse(args, {})
  await command(socketOf(positionals[0]), 'reopen')
}

/** `spillway tls`: the workers read their certificates again. */
export async function tls(args: string[]): Promise<void> {
  const { positionals } = parse(args, {})
  await command(socketOf(positionals[0]), 'tls')
}
