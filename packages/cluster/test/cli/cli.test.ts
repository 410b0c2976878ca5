import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { eventually, isAlive, spawnApp } from '@spillway/testkit'
import { describe, expect, it, onTestFinished } from 'vitest'
import { PATIENCE } from '../primary.js'

const run = promisify(execFile)
const BIN = new URL('../../bin/spillway.js', import.meta.url)
const fixture = (name: string) => fileURLToPath(new URL(`../fixtures/${name}`, import.meta.url))

/** A folder of its own for the control sockets, and the CLI in it. */
function home() {
  const folder = mkdtempSync(join(tmpdir(), 'spillway-cli-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  const env = { ...process.env, SPILLWAY_HOME: join(folder, 'home') }
  const cli = (...args: string[]) => run(process.execPath, [fileURLToPath(BIN), ...args], { env })
  const start = (...args: string[]) => {
    const app = spawnApp(BIN, { args: ['start', ...args], env: { SPILLWAY_HOME: env.SPILLWAY_HOME } })
    onTestFinished(() => app[Symbol.asyncDispose]())
    return app
  }
  return { folder, cli, start, socket: (name: string) => join(env.SPILLWAY_HOME, `${name}.sock`) }
}

function ask(path: string, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ path }, () => socket.write(text))
    socket.once('data', (data) => {
      socket.destroy()
      resolve(String(data))
    })
    socket.once('error', reject)
    socket.once('close', () => resolve(''))
  })
}

const up = { timeout: PATIENCE }

/** Two free ports in a row, below those that the kernel gives to connections. */
async function freePair(): Promise<number> {
  for (;;) {
    const port = 20_000 + Math.floor(Math.random() * 10_000)
    const servers = [port, port + 1].map((each) => createServer().listen(each, '127.0.0.1'))
    const free = await Promise.all(
      servers.map((server) =>
        once(server, 'listening').then(
          () => true,
          () => false,
        ),
      ),
    )
    for (const server of servers) server.close()
    if (free.every(Boolean)) return port
  }
}

describe('spillway', () => {
  it('starts an unchanged CommonJS app, and status, scale, reload, top, logs and stop work on it', async () => {
    const { folder, cli, start, socket } = home()
    const envFile = join(folder, 'env')
    writeFileSync(envFile, 'GREETING=hello\n')
    const app = start(fixture('entry.cjs'), '-i', '2', '--name', 'web', '--env-file', envFile)
    await app.waitForLine(/listening on 127\.0\.0\.1:\d+/, up)
    await eventually(async () => JSON.parse((await cli('status', '--json')).stdout).ready === 2, up)
    expect(app.output()).toMatch(/^web\.[12] \| says hello$/m)
    expect((await cli('status', 'web')).stdout).toMatch(/web: running, 2 of 2 workers ready, generation 1/)

    // K33
    expect(statSync(socket('web')).mode & 0o777).toBe(0o600)
    expect(statSync(join(socket('web'), '..')).mode & 0o777).toBe(0o700)
    expect(JSON.parse(await ask(socket('web'), 'garbage\n'))).toEqual({ ok: false, error: 'not JSON' })
    expect(JSON.parse(await ask(socket('web'), '{"command":"explode"}\n')).ok).toBe(false)
    expect(await ask(socket('web'), 'x'.repeat(100_000))).toBe('')

    writeFileSync(envFile, 'GREETING=goodbye\n')
    const [reloaded] = await Promise.all([cli('reload', 'web'), cli('status', 'web')])
    expect(reloaded.stdout).toMatch(/2 workers replaced/)
    await app.waitForLine(/says goodbye/, up)
    expect((await cli('scale', 'web', '1')).stdout).toBe('1 workers\n')
    expect((await cli('tls', 'web')).stderr).toBe('')
    expect((await cli('top', '--once')).stdout).toMatch(/1\/1 workers {2}generation 2/)
    expect((await cli('stop', 'web')).stdout).toBe('stopped\n')
    expect(await app.exited).toEqual({ code: 0, signal: null })
    await expect(cli('status', 'web')).rejects.toMatchObject({ code: 1 })
  })

  it('K33 takes over the socket of a crash, and refuses to be the second of a name', async () => {
    const { start, socket, cli } = home()
    const crashed = start(fixture('entry.cjs'), '-i', '1', '--name', 'web')
    await crashed.waitForLine(/listening on/, up)
    await crashed.stop()
    expect(statSync(socket('web')).isSocket()).toBe(true)
    const next = start(fixture('entry.cjs'), '-i', '1', '--name', 'web')
    await eventually(async () => JSON.parse((await cli('status', '--json')).stdout).ready === 1, up)
    const second = start(fixture('entry.cjs'), '-i', '1', '--name', 'web')
    expect(await second.exited).toEqual({ code: 1, signal: null })
    expect(second.output('stderr')).toMatch(/Another supervisor already listens/)
    expect(next.alive()).toBe(true)
  })

  it('K27 runs TypeScript with loader flags, and gives each worker a debugger port of its own', async () => {
    const { start, cli } = home()
    const port = await freePair()
    const args = ['--node-args', `--import tsx --inspect=127.0.0.1:${port}`]
    const app = start(fixture('entry.ts'), '-i', '2', '--name', 'typed', ...args)
    const [, address] = await app.waitForLine(/typed: listening on (\S+)/, up)
    expect(await (await fetch(`http://${address}`)).text()).toBe('typed')
    await eventually(async () => JSON.parse((await cli('status', '--json')).stdout).ready === 2, up)
    const ports = () =>
      [...app.output().matchAll(/Debugger listening on ws:\/\/127\.0\.0\.1:(\d+)/g)].map(([, each]) => each)
    // What a worker prints comes by a pipe of its own, perhaps after its readiness.
    await eventually(() => ports().length === 2, up)
    expect(ports().sort()).toEqual([String(port), String(port + 1)])
  })

  it('runs in the background, and logs to a file', async () => {
    const { cli, folder } = home()
    const log = join(folder, 'web.log')
    const { stdout } = await cli(
      'start',
      fixture('entry.cjs'),
      '-i',
      '1',
      '--name',
      'web',
      '-d',
      '--log',
      log,
    )
    const pid = Number(/pid (\d+)/.exec(stdout)?.[1])
    onTestFinished(() => void (isAlive(pid) && process.kill(pid, 'SIGKILL')))
    await eventually(() => readFileSync(log, 'utf8').includes('web.1 | says nothing'), up)
    expect((await cli('stop')).stdout).toBe('stopped\n')
    await eventually(() => !isAlive(pid))
  })

  it('K1 shows the error of the worker and exits with 1', async () => {
    const { start, folder } = home()
    const broken = join(folder, 'broken.mjs')
    writeFileSync(broken, 'const = 1')
    const app = start(broken, '-i', '2')
    expect(await app.exited).toEqual({ code: 1, signal: null })
    expect(app.output('stderr')).toMatch(/SyntaxError/)
  })

  it('explains itself', async () => {
    const { cli } = home()
    expect((await cli('help')).stdout).toMatch(/spillway start <script>/)
    for (const wrong of [
      ['explode'],
      ['start'],
      ['lb', 'apache'],
      ['lb', 'nginx'],
      ['scale', 'web', 'many'],
      ['start', '--nope'],
    ]) {
      await expect(cli(...wrong)).rejects.toMatchObject({ code: 1 })
    }
    expect((await cli('lb', 'nginx', '--upstream', '127.0.0.1:1')).stdout).toMatch(/server 127\.0\.0\.1:1 /)
  })
})
