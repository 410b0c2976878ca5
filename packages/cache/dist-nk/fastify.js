import { ResponseCache } from './chunk-EDT2MI4T.js';
import './chunk-KVKEVYIN.js';

// ../kit/src/fastify.ts
var META = /* @__PURE__ */ Symbol.for("plugin-meta");
function plugin(name, register) {
  return Object.assign(register, {
    [/* @__PURE__ */ Symbol.for("skip-override")]: true,
    [/* @__PURE__ */ Symbol.for("fastify.display-name")]: name,
    [META]: { name, fastify: "5.x" }
  });
}

// src/fastify.ts
var cacheResponse = plugin(
  "@spillway/cache",
  async (app, { cache, ...options }) => {
    const own = new ResponseCache(cache, options);
    const ofRoutes = /* @__PURE__ */ new WeakMap();
    const responsesOf = (config) => {
      if (config === void 0) return own;
      let responses = ofRoutes.get(config);
      if (responses === void 0) ofRoutes.set(config, responses = new ResponseCache(cache, config));
      return responses;
    };
    app.addHook("preHandler", (request, reply, done) => {
      const config = request.routeOptions.config.cacheResponse;
      if (config === false) return done();
      const give = (answer) => {
        if (answer === void 0) done();
        else send(answer, reply);
      };
      const exchange = {
        req: request.raw,
        res: reply.raw,
        url: request.originalUrl,
        target: request.url,
        scheme: request.protocol,
        before: () => reply.getHeaders()
      };
      try {
        const answer = responsesOf(config).answer(exchange, [request, reply]);
        if (answer instanceof Promise) answer.then(give).catch(done);
        else give(answer);
      } catch (error) {
        done(asError(error));
      }
    });
  }
);
var fastify_default = cacheResponse;
function asError(thrown) {
  return thrown instanceof Error ? thrown : new Error(String(thrown), { cause: thrown });
}
function send({ status, headers, told, body }, reply) {
  reply.code(status).headers(headers).headers(told);
  return status === 304 || status === 204 ? reply.send() : reply.send(body);
}

export { cacheResponse, fastify_default as default };
