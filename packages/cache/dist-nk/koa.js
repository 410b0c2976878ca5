import { ResponseCache } from './chunk-EDT2MI4T.js';
import './chunk-KVKEVYIN.js';

// src/koa.ts
function cacheResponse(cache, options) {
  const responses = new ResponseCache(cache, options);
  return (ctx, next) => {
    const { req, res, originalUrl: url, protocol: scheme } = ctx;
    const target = url.endsWith(ctx.url) ? url : ctx.url;
    const give = (answer2) => answer2 === void 0 ? next() : send(answer2, ctx);
    const exchange = { req, res, url, target, scheme, before: () => res.getHeaders() };
    const answer = responses.answer(exchange, [ctx]);
    return answer instanceof Promise ? answer.then(give) : give(answer);
  };
}
function send({ status, headers, told, body }, ctx) {
  const { res } = ctx;
  ctx.status = status;
  for (const name in headers) res.setHeader(name, headers[name]);
  for (const name in told) res.setHeader(name, told[name]);
  if (status === 304 || status === 204) return;
  ctx.body = body;
  if (headers["content-type"] === void 0) ctx.remove("content-type");
}

export { cacheResponse };
