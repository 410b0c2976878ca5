import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { processGroup } from './processes.js'

// One shell per test process, in a session of its own. It reads a pipe whose only other end is in the test process,
// so the kernel tells it when that process is gone, however it went. Then it kills every process group that left its
// number in the folder and removes the folder. The rename comes first: a program that is just being launched finds no
// place to leave its number any more, and therefore does not start (see LAUNCH).
const WATCH = `
trap '' HUP INT TERM
cat >/dev/null
mv "$1" "$1.dead" || exit 0
for file in "$1.dead"/*/pid; do
  [ -f "$file" ] && kill -s KILL -- "-$(cat "$file")" 2>/dev/null
done
tries=0
until rm -rf "$1.dead" 2>/dev/null || [ $((tries += 1)) -gt 50 ]; do sleep 0.1; done
`

// The shell becomes the program, so that the number it leaves is the program's own.
const LAUNCH = `echo $$ > "$1" && shift && exec "$@"`

let root: string | undefined
let serial = 0

/** A new temporary folder, removed with all it holds when this process ends in whatever way. */
export function makeFolder(name: string): string {
  root ??= startWatchdog()
  const folder = join(root, `${name}-${++serial}`)
  mkdirSync(folder)
  return folder
}

function startWatchdog(): string {
  const folder = mkdtempSync(join(tmpdir(), 'spillway-testkit-'))
  const dog = spawn('sh', ['-c', WATCH, 'spillway-watchdog', folder], {
    cwd: '/',
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  })
  dog.unref()
  // A pipe of a child is a socket underneath; it must not keep the test process alive either.
  const pipe = dog.stdin
  if ('unref' in pipe && typeof pipe.unref === 'function') pipe.unref()
  return folder
}

/**
 * Launches a program as the leader of its own process group, which dies with this process.
 *
 * @param folder from {@link makeFolder}; one program at a time for each
 */
export function launch(
  folder: string,
  command: readonly [string, ...string[]],
  options: Omit<SpawnOptions, 'detached' | 'shell'>,
): ChildProcess {
  return spawn('sh', ['-c', LAUNCH, 'sh', join(folder, 'pid'), ...command], { ...options, detached: true })
}

/** Kills what is left of a launched program's process group, so that the watchdog need not know it any more. */
export function killGroup(folder: string, pid: number): void {
  signalGroup(pid, 'SIGKILL')
  rmSync(join(folder, 'pid'), { force: true })
}

/** Whether a process of this group lives; zombies, which only wait to be taken note of, do not count. */
export function groupExists(pid: number): boolean {
  return processGroup(pid).length > 0
}

/** Sends a signal to a whole process group. Tells whether there was one. */
export function signalGroup(pid: number, signal: NodeJS.Signals): boolean {
  try {
    process.kill(-pid, signal)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false
    throw error
  }
}
