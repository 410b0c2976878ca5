import type { Server, ServerResponse } from 'node:http'
import type { Express as ExpressApp, Request } from 'express'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type Koa from 'koa'
import type { Context } from 'koa'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { haveLastWord, refuse } from '../src/express.js'
import { muteError, plugin } from '../src/fastify.js'
import { abortable, responseSignal } from '../src/index.js'
import {
  type AttachSpec,
  type AttachSubject,
  attachChecks,
  attachSuite,
  FRAMEWORKS,
  type Framework,
  failures,
  latch,
  type Native,
  patience,
} from '../testing/index.js'

/** An engine as small as it gets: it opens a handle, works until told to stop, and closes. */
class Engine {
  closed = false
  started = 0
  stopped = 0
  readonly #timer = setInterval(() => {}, 60_000)

  /** Never ends by itself. */
  async work(signal: AbortSignal): Promise<void> {
    this.started++
    await abortable(new Promise<void>(() => {}), signal).finally(() => {
      this.stopped++
    })
  }

  close(): void {
    this.closed = true
    clearInterval(this.#timer)
  }
}

/** What a handler finds: the engine, for this request. */
interface Handle {
  readonly engine: Engine
  readonly signal: AbortSignal
}

declare global {
  namespace Express {
    interface Request {
      engine?: Handle
    }
  }
}

declare module 'fastify' {
  interface FastifyRequest {
    engine: Handle | null
  }
}

interface Subject extends AttachSubject {
  readonly instance: Engine
}

/** An attach adapter as small as it gets, and right. */
function reference(): Subject {
  const engine = new Engine()
  const closeWith = (server: Server) => server.once('close', () => engine.close())
  return {
    express: (app, server) => {
      closeWith(server)
      app.use((req, res, next) => {
        req.engine = { engine, signal: responseSignal(res, () => haveLastWord(req)) }
        next()
      })
    },
    fastify: (app) =>
      app.register(
        plugin('reference', async (scope: typeof app) => {
          scope.decorateRequest('engine', null)
          scope.addHook('onRequest', async (request, reply) => {
            request.engine = { engine, signal: responseSignal(reply.raw, (gone) => muteError(reply, gone)) }
          })
          scope.addHook('onClose', () => engine.close())
        }),
      ),
    koa: (app, server) => {
      closeWith(server)
      app.use((ctx, next) => {
        ctx.state.engine = { engine, signal: responseSignal(ctx.res) }
        return next()
      })
    },
    closed: () => engine.closed,
    close: () => engine.close(),
    instance: engine,
  }
}

const handle = {
  express: (req: Request) => req.engine,
  fastify: (request: FastifyRequest) => request.engine,
  koa: (ctx: Context) => ctx.state.engine as Handle,
}

function handleOf(native: Native): Handle {
  if ('engine' in native) return native.engine as Handle
  return (native as Context).state.engine as Handle
}

const spec: Omit<AttachSpec<Subject>, 'setup'> = {
  handle: {
    express: (req) => handle.express(req)?.engine,
    fastify: (request) => handle.fastify(request)?.engine,
    koa: (ctx) => handle.koa(ctx).engine,
  },
  work: (native) => handleOf(native).engine.work(handleOf(native).signal),
}

attachSuite('a right attachment', { ...spec, setup: reference })

/** The other form: the adapter is a route handler. */
function routeReference() {
  const { instance: engine, ...right } = reference()
  const started = latch()
  const stopped = latch()
  const work = async (res: ServerResponse) => {
    started.open()
    await engine.work(responseSignal(res)).finally(() => stopped.open())
  }
  return {
    ...right,
    express: (app: ExpressApp, server: Server) => {
      right.express(app, server)
      app.get('/work', (_req, res, next) => {
        work(res).catch((error) => refuse(error, res, next))
      })
    },
    fastify: (app: FastifyInstance) => {
      right.fastify(app)
      app.get('/work', (_request, reply) => work(reply.raw))
    },
    koa: (app: Koa, server: Server) => {
      right.koa(app, server)
      app.use((ctx, next) => (ctx.path === '/work' ? work(ctx.res) : next()))
    },
    started: started.promise,
    stopped: stopped.promise,
  }
}

attachSuite('a right route', {
  setup: routeReference,
  route: { path: '/work', started: (subject) => subject.started, stopped: (subject) => subject.stopped },
})

describe('the attach suite fails for an attachment that', () => {
  beforeAll(() => {
    patience.milliseconds = 500
  })
  afterAll(() => {
    patience.milliseconds = 10_000
  })

  const failed = (framework: Framework, title: string, wrong: Partial<AttachSpec<Subject>>) =>
    failures(
      attachChecks({ ...spec, setup: reference, ...wrong }).filter((check) => check.title === title),
      framework,
    )

  describe.each(FRAMEWORKS)('on %s', (framework) => {
    it('is not found on the request', async () => {
      const nothing = () => undefined
      const titles = await failed(framework, 'a handler finds the instance', {
        handle: { express: nothing, fastify: nothing, koa: nothing },
      })
      expect(titles).toEqual(['a handler finds the instance'])
    })

    it('hands out another instance', async () => {
      const titles = await failed(framework, 'a handler finds the instance', {
        setup: () => ({ ...reference(), instance: new Engine() }),
      })
      expect(titles).toEqual(['a handler finds the instance'])
    })

    it('is not closed with the app', async () => {
      const titles = await failed(framework, 'is closed with the app, after the last request is answered', {
        setup: () => ({ ...reference(), closed: () => false }),
      })
      expect(titles).toEqual(['is closed with the app, after the last request is answered'])
    })

    it('is closed before the last request is answered', async () => {
      const titles = await failed(framework, 'is closed with the app, after the last request is answered', {
        setup: () => {
          const right = reference()
          return {
            ...right,
            express: (app, server) => {
              right.express(app, server)
              closeEarly(server, right.instance)
            },
            fastify: (app) => {
              app.addHook('preClose', async () => right.instance.close())
              return right.fastify(app)
            },
            koa: (app, server) => {
              right.koa(app, server)
              closeEarly(server, right.instance)
            },
          }
        },
      })
      expect(titles).toEqual(['is closed with the app, after the last request is answered'])
    })

    it('leaves the work running when the client has left', async () => {
      const titles = await failed(
        framework,
        'stops the work of a request when its client leaves, and of no other',
        {
          work: (native) => handleOf(native).engine.work(new AbortController().signal),
        },
      )
      expect(titles).toEqual(['stops the work of a request when its client leaves, and of no other'])
    })

    it('leaves something open', async () => {
      const timers: NodeJS.Timeout[] = []
      const titles = await failed(framework, 'nothing keeps the process alive after the app is closed', {
        setup: () => {
          timers.push(setInterval(() => {}, 60_000))
          return reference()
        },
      })
      for (const timer of timers) clearInterval(timer)
      expect(titles).toEqual(['nothing keeps the process alive after the app is closed'])
    })
  })
})

function closeEarly(server: Server, engine: Engine): void {
  const { close } = server
  server.close = (done) => {
    engine.close()
    return close.call(server, done)
  }
}
