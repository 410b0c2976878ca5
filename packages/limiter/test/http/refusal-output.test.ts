import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'

/** The README's quick start on Express 5, which 100 requests over the limit visit. Runs the built package. */
const SCRIPT = `
  import express from 'express'
  import { rateLimit } from './dist/express.js'
  const app = express()
  app.use(rateLimit({ limit: 1, window: '15m', key: (req) => req.get('x-api-key') }))
  app.get('/', (_req, res) => res.send('ok'))
  const server = app.listen(0, '127.0.0.1', async () => {
    const url = 'http://127.0.0.1:' + server.address().port
    const count = {}
    for (let i = 0; i < 101; i++) {
      const res = await fetch(url, { headers: { 'x-api-key': 'sk-live-SECRET' } })
      const text = await res.text()
      if (/SECRET|<html/.test(text)) count.leaks = (count.leaks ?? 0) + 1
      count[res.status] = (count[res.status] ?? 0) + 1
    }
    console.log(JSON.stringify(count))
    server.close()
    server.closeAllConnections()
  })
`

describe('L52 the quick start on Express 5', () => {
  it.each(['production', 'development'])('prints nothing of 100 refusals, with NODE_ENV=%s', async (env) => {
    const child = spawn(process.execPath, ['--input-type=module', '--eval', SCRIPT], {
      cwd: fileURLToPath(new URL('../..', import.meta.url)),
      env: { ...process.env, NODE_ENV: env },
    })
    let [out, err] = ['', '']
    child.stdout.on('data', (chunk) => (out += chunk))
    child.stderr.on('data', (chunk) => (err += chunk))
    const [code] = await once(child, 'close')
    expect({ code, err, out: JSON.parse(out) }).toEqual({ code: 0, err: '', out: { 200: 1, 429: 100 } })
  })
})
