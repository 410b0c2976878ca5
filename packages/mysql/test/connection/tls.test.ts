import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type MariadbServer, startMariadb } from '@spillway/testkit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { MysqlPool, type MysqlPoolOptions } from '../../src/index.js'

let server: MariadbServer
let folder: string
let ca: string

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'spillway-tls-'))
  const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')]
  const subject = ['-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1']
  const kind = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '1']
  execFileSync('openssl', [...kind, ...subject, '-keyout', key, '-out', cert], { stdio: 'ignore' })
  ca = readFileSync(cert, 'utf8')
  server = await startMariadb({ args: [`--ssl-cert=${cert}`, `--ssl-key=${key}`] })
  await server.query("CREATE USER safe@'127.0.0.1' REQUIRE SSL", "GRANT ALL ON test.* TO safe@'127.0.0.1'")
})
afterAll(async () => {
  await server?.[Symbol.asyncDispose]()
  rmSync(folder, { recursive: true, force: true })
})

const poolOf = (options: MysqlPoolOptions) =>
  new MysqlPool({ uri: server.url('safe'), connectionLimit: 1, ...options })

describe('over TLS', () => {
  it('statements, streams at the pace of their reader, and the stop of both work as without it', async () => {
    await using pool = poolOf({ ssl: { ca } })
    expect((await pool.one("SHOW SESSION STATUS LIKE 'Ssl_cipher'"))?.Value).not.toBe('')
    let seen = 0
    for await (const { seq } of pool.stream('SELECT seq, REPEAT("x", 200) AS text FROM seq_1_to_50000')) {
      expect(seq).toBe(++seen)
      // Others get their turn, so that rows arrive while nobody takes them.
      if (seen % 1_000 === 0) await new Promise((resolve) => setImmediate(resolve))
    }
    expect(seen).toBe(50_000)
    const id = (await pool.one('SELECT CONNECTION_ID() AS id'))?.id
    for await (const _ of pool.stream('SELECT seq, REPEAT("x", 1000) AS text FROM seq_1_to_300000')) break
    const late = await pool.query('SELECT SLEEP(30)', [], { timeout: 100 }).catch((error: unknown) => error)
    expect(late).toMatchObject({ code: 'ERR_MYSQL_TIMEOUT', phase: 'run', outcome: 'none' })
    expect(await pool.one('SELECT CONNECTION_ID() AS id')).toEqual({ id })
    expect(pool.stats().nodes[0]).toMatchObject({ kills: 2, lost: 0 })
  })

  it('a certificate that is not trusted, or none where one is required, is an error that says so', async () => {
    await using distrustful = poolOf({ ssl: {} })
    await expect(distrustful.query('SELECT 1')).rejects.toMatchObject({
      code: 'ERR_MYSQL_UNAVAILABLE',
      cause: { message: expect.stringMatching(/self.signed/i) },
    })
    await using plain = poolOf({})
    await expect(plain.query('SELECT 1')).rejects.toMatchObject({ errno: 1045 })
  })

  const SPELLINGS = [
    'ssl-mode=REQUIRED',
    'ssl-mode=VERIFY_CA',
    'ssl-mode=VERIFY_IDENTITY',
    'sslmode=require',
    'sslmode=verify-full',
    'ssl=true',
    'ssl={"rejectUnauthorized":true}',
    'ssl={"rejectUnauthorized":false}',
    'useSSL=true',
    'tls=true',
  ]
  for (const spelling of SPELLINGS) {
    it(`B41 a URI with ${spelling} is encrypted, or refused`, async () => {
      const uri = `${server.url()}?${spelling}`
      let pool: MysqlPool
      try {
        pool = new MysqlPool({ uri, connectionLimit: 1 })
      } catch (error) {
        expect(error).toMatchObject({ code: 'ERR_MYSQL_OPTION' })
        expect(spelling).toMatch(/useSSL|tls/)
        return
      }
      await using own = pool
      const cipher = () => own.one<{ Value: string }>("SHOW SESSION STATUS LIKE 'Ssl_cipher'")
      if (/REQUIRED|require|false/.test(spelling)) expect((await cipher())?.Value).not.toBe('')
      // The certificate is its own authority, which nobody knows.
      else
        await expect(cipher()).rejects.toMatchObject({
          cause: { message: expect.stringMatching(/self.signed/i) },
        })
    })
  }

  it('B41 whoever knows the authority is served, and only under the right name', async () => {
    const identity = `${server.url()}?ssl-mode=VERIFY_IDENTITY`
    await using right = poolOf({ uri: `${identity}&ssl=${encodeURIComponent(JSON.stringify({ ca }))}` })
    expect((await right.one("SHOW SESSION STATUS LIKE 'Ssl_cipher'"))?.Value).not.toBe('')
    const named = identity.replace('127.0.0.1', 'localhost')
    await using wrong = poolOf({ uri: `${named}&ssl=${encodeURIComponent(JSON.stringify({ ca }))}` })
    await expect(wrong.query('SELECT 1')).rejects.toMatchObject({
      cause: { message: expect.stringMatching(/altnames/i) },
    })
  })

  it('B41 a server without TLS is not spoken to in plain text', async () => {
    await using bare = await startMariadb({ args: ['--skip-ssl'] })
    for (const spelling of ['ssl-mode=REQUIRED', 'ssl=true', 'sslmode=require']) {
      await using pool = new MysqlPool({ uri: `${bare.url()}?${spelling}`, connectionLimit: 1 })
      await expect(pool.query('SELECT 1')).rejects.toMatchObject({
        cause: { message: expect.stringMatching(/secure connection/i) },
      })
    }
  })
})
