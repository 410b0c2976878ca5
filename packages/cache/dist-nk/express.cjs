'use strict';

var chunkFF4NE62Q_cjs = require('./chunk-FF4NE62Q.cjs');
require('./chunk-EC4YPOZN.cjs');

// src/express.ts
function cacheResponse(cache, options) {
  const responses = new chunkFF4NE62Q_cjs.ResponseCache(cache, options);
  return (req, res, next) => {
    const give = (answer2) => answer2 === void 0 ? next() : send(answer2, req, res);
    const exchange = {
      req,
      res,
      url: req.originalUrl,
      target: targetOf(req),
      scheme: req.protocol,
      before: () => res.getHeaders()
    };
    const answer = responses.answer(exchange, [req, res]);
    if (answer instanceof Promise) answer.then(give).catch(next);
    else give(answer);
  };
}
function targetOf({ baseUrl, url, originalUrl }) {
  const target = baseUrl + url;
  return url.startsWith("/") && originalUrl === baseUrl + url.slice(1) ? originalUrl : target;
}
function send({ status, headers, told, body }, req, res) {
  res.status(status);
  for (const name in headers) res.setHeader(name, headers[name]);
  for (const name in told) res.setHeader(name, told[name]);
  if (req.method === "HEAD") res.end();
  else res.end(body);
}

exports.cacheResponse = cacheResponse;
