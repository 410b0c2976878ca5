// The app of all contenders, unchanged: no supervisor's library in it.
import { appendFileSync } from 'node:fs'
import { createServer } from 'node:http'

if (process.env.FORKS_FILE) {
  appendFileSync(process.env.FORKS_FILE, 'x')
  if (process.env.CRASH_AT_BOOT) process.exit(1)
}
if (process.env.CRASH_AFTER) setTimeout(() => process.exit(1), Number(process.env.CRASH_AFTER))

createServer((req, res) => {
  if (req.url === '/pid') return res.end(String(process.pid))
  if (req.url === '/hang') return res.end(String(process.pid), () => setImmediate(hang))
  if (req.url === '/slow') return setTimeout(() => res.end('slow'), 200)
  res.end('ok')
}).listen(Number(process.env.PORT), '127.0.0.1')

function hang() {
  for (;;);
}
