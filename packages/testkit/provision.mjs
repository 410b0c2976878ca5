#!/usr/bin/env node
// The servers the tests run, and where their programs are. As a script (`node packages/testkit/provision.mjs`, no
// build step, no dependency) it installs what is missing in one apt-get call and prints one line per server.
import { spawnSync } from 'node:child_process'
import { accessSync, constants, existsSync, realpathSync, statSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const SERVERS = Object.freeze({
  redis: { program: 'redis-server', variable: 'SPILLWAY_REDIS_SERVER', debian: 'redis-server' },
  mariadb: { program: 'mariadbd', variable: 'SPILLWAY_MARIADBD', debian: 'mariadb-server' },
  mariadbInstallDb: {
    program: 'mariadb-install-db',
    variable: 'SPILLWAY_MARIADB_INSTALL_DB',
    debian: 'mariadb-server',
  },
  memcached: { program: 'memcached', variable: 'SPILLWAY_MEMCACHED', debian: 'memcached' },
  nginx: { program: 'nginx', variable: 'SPILLWAY_NGINX', debian: 'nginx' },
  haproxy: { program: 'haproxy', variable: 'SPILLWAY_HAPROXY', debian: 'haproxy' },
})

const SCRIPT = fileURLToPath(import.meta.url)
// Debian keeps daemons where the PATH of a plain user does not look.
const DAEMON_FOLDERS = ['/usr/sbin', '/usr/local/sbin']
// In a folder only root can write: the lock of a root process must not be a name anybody may take first.
const LOCK = '/run/spillway-provision.lock'
const LOCK_WAIT_SECONDS = 900

/** The path of a server's program, or undefined when it is not on this machine. */
export function locate(name) {
  const { program, variable } = SERVERS[name]
  const chosen = process.env[variable]
  if (chosen) {
    if (!isProgram(chosen)) throw new Error(`${variable} names no program: ${chosen}`)
    return chosen
  }
  const folders = [...(process.env.PATH ?? '').split(delimiter).filter(Boolean), ...DAEMON_FOLDERS]
  return folders.map((folder) => join(folder, program)).find(isProgram)
}

/**
 * Makes sure that these servers are on the machine, installing what is missing, and returns their paths by name.
 * Throws an error with the exact command to type where it may not install.
 */
export function provision(names = Object.keys(SERVERS)) {
  if (missing(names).length > 0) install(names)
  return Object.fromEntries(names.map((name) => [name, locate(name)]))
}

/** What a person types to get these servers. */
export function installCommand(names) {
  return `sudo apt-get update && sudo apt-get install -y --no-install-recommends ${packagesOf(names).join(' ')}`
}

function install(names) {
  const mayInstall = process.getuid?.() === 0 && existsSync('/etc/debian_version')
  // The child looks again under the lock: whoever waited usually finds the work done.
  const child = mayInstall
    ? spawnSync(
        'flock',
        ['-w', String(LOCK_WAIT_SECONDS), LOCK, process.execPath, SCRIPT, '--locked', ...names],
        {
          stdio: ['ignore', 'ignore', 'inherit'],
        },
      )
    : undefined
  const still = missing(names)
  if (still.length === 0) return
  const programs = still.map((name) => SERVERS[name].program).join(', ')
  const reason =
    child === undefined
      ? 'only root on Debian or Ubuntu installs by itself'
      : (child.error?.message ?? `apt-get failed with ${child.status ?? child.signal}`)
  const variables = still.map((name) => SERVERS[name].variable).join(', ')
  throw new Error(
    `Missing ${programs} (${reason}). Type:\n  ${installCommand(still)}\nor say where they are with ${variables}.`,
  )
}

// Packages start their service when they are installed. The tests use private instances only, and a policy of 101
// ("forbidden") is how Debian is told not to. A policy that is already there is the administrator's and stays.
const APT_SCRIPT = `
policy=/usr/sbin/policy-rc.d
mark='# spillway-testkit: while it installs'
if [ ! -e "$policy" ] || grep -qF "$mark" "$policy"; then
  trap 'rm -f "$policy"' EXIT
  trap 'exit 1' HUP INT TERM
  printf '#!/bin/sh\\n%s\\nexit 101\\n' "$mark" > "$policy"
  chmod 755 "$policy"
fi
apt-get -o DPkg::Lock::Timeout=600 update || echo 'apt-get update failed; trying with the lists at hand' >&2
apt-get -o DPkg::Lock::Timeout=600 install -y --no-install-recommends "$@"
`

function installLocked(names) {
  const packages = packagesOf(missing(names))
  if (packages.length === 0) return 0
  const { status } = spawnSync('sh', ['-c', APT_SCRIPT, 'sh', ...packages], {
    stdio: ['ignore', 2, 2],
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
  })
  return status ?? 1
}

function missing(names) {
  return names.filter((name) => locate(name) === undefined)
}

function packagesOf(names) {
  return [...new Set(names.map((name) => SERVERS[name].debian))]
}

function isProgram(path) {
  try {
    accessSync(path, constants.X_OK)
    return statSync(path).isFile()
  } catch {
    return false
  }
}

function main([option, ...names]) {
  if (option === '--locked') return installLocked(names)
  try {
    for (const [name, path] of Object.entries(provision())) {
      console.log(`${SERVERS[name].program.padEnd(20)}${path}`)
    }
    return 0
  } catch (error) {
    console.error(error.message)
    return 1
  }
}

const runsAsScript = process.argv[1] !== undefined && realpathSync(process.argv[1]) === SCRIPT
if (runsAsScript) process.exitCode = main(process.argv.slice(2))
