// `npm start [-- --framework express|fastify|koa] [--port n] [--load]`: installs, builds and runs the story app.
import { build } from './build.mjs'
import { ensureInstalled } from './install.mjs'
import { run } from './pnpm.mjs'

try {
  await ensureInstalled({ everything: false })
  await build()
  process.exitCode = await run(process.execPath, ['examples/cities/dist/main.js', ...process.argv.slice(2)])
} catch (error) {
  console.error(error.message)
  process.exitCode = 1
}
