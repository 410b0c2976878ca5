import { serve } from '@spillway/cluster'
import { type Framework, readConfig } from './config.js'
import { openServices, type Services } from './services.js'

// One worker: its services, the app on the framework that was asked for, and a graceful end.

const APPS = {
  express: async (services: Services) => (await import('./express.js')).expressApp(services),
  fastify: async (services: Services) => (await import('./fastify.js')).fastifyApp(services),
  koa: async (services: Services) => (await import('./koa.js')).koaApp(services),
} satisfies Record<Framework, unknown>

const config = readConfig(process.env)
const services = openServices(config, process.env)
const app = await APPS[config.framework](services)

await serve(app, {
  port: config.port,
  host: config.host,
  ...(config.tls === undefined ? {} : { tls: config.tls }),
  close: [services],
})
