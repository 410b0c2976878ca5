'use strict';

var chunkEC4YPOZN_cjs = require('./chunk-EC4YPOZN.cjs');
var node_crypto = require('node:crypto');
var node_http = require('node:http');
var node_net = require('node:net');
var lruCache = require('lru-cache');

// src/http/http-message.ts
function headersAsText(given) {
  const headers = noHeaders();
  for (const name2 in given) {
    const value = given[name2];
    if (value === void 0) continue;
    headers[name2.toLowerCase()] = Array.isArray(value) ? value.map(String) : String(value);
  }
  return headers;
}
function line(headers, name2) {
  const value = headers[name2];
  if (typeof value === "string") return value;
  return Array.isArray(value) ? value.join(", ") : void 0;
}
function noHeaders() {
  return /* @__PURE__ */ Object.create(null);
}
function addHeader(headers, name2, value) {
  const before = headers[name2];
  if (before === void 0) headers[name2] = typeof value === "string" ? value : [...value];
  else if (typeof before === "string") headers[name2] = [before].concat(value);
  else for (const each of typeof value === "string" ? [value] : value) before.push(each);
}
function members(field) {
  if (field === void 0) return [];
  return field.split(",").map((member) => member.trim().toLowerCase()).filter((member) => member !== "");
}
function headersGiven(args) {
  const given = typeof args[1] === "string" ? args[2] : args[1];
  if (!Array.isArray(given)) return headersAsText(given ?? {});
  const list2 = Array.isArray(given[0]) ? given.flat(1) : given;
  const headers = noHeaders();
  for (let i = 0; i + 1 < list2.length; i += 2) {
    const value = list2[i + 1];
    const text = Array.isArray(value) ? value.map(String) : String(value);
    addHeader(headers, String(list2[i]).toLowerCase(), text);
  }
  return headers;
}

// src/http/also-changed.ts
function alsoChanged({ req, url, scheme }, { headers }) {
  const targets = [];
  const base = `${scheme}://${line(req.headers, ":authority") ?? req.headers.host ?? ""}${url}`;
  if (!URL.canParse(base)) return targets;
  for (const name2 of ["location", "content-location"]) {
    const value = line(headers, name2);
    if (value === void 0 || !URL.canParse(value, base)) continue;
    const target = new URL(value, base);
    if (target.origin === new URL(base).origin) targets.push(target.pathname + target.search);
  }
  return targets;
}

// src/http/before-end.ts
function beforeEnd(res, begin) {
  const { writeHead, end } = res;
  let work;
  let headSeen = false;
  let ended = false;
  res.writeHead = ((...args) => {
    if (!headSeen) {
      headSeen = true;
      work = begin({
        status: args[0],
        headers: { ...headersAsText(res.getHeaders()), ...headersGiven(args) }
      });
    }
    return Reflect.apply(writeHead, res, args);
  });
  res.end = ((...args) => {
    if (ended) return res;
    if (!res.headersSent) {
      setLength(res, args[0], args[1]);
      res.writeHead(res.statusCode);
    }
    ended = true;
    if (work === void 0) return Reflect.apply(end, res, args);
    void work.then(() => Reflect.apply(end, res, args));
    return res;
  });
}
function setLength(res, chunk, encoding) {
  if (res.hasHeader("content-length") || res.hasHeader("transfer-encoding")) return;
  if (res.statusCode === 204 || res.statusCode === 304 || res.req.method === "HEAD") return;
  const length = typeof chunk === "string" ? Buffer.byteLength(chunk, typeof encoding === "string" ? encoding : "utf8") : chunk instanceof Uint8Array ? chunk.byteLength : 0;
  res.setHeader("content-length", length);
}

// src/http/cache-status.ts
function cacheStatusField(name2, status) {
  const detail = status.detail === void 0 ? "" : `; detail=${status.detail}`;
  if (status.hit) return `${name2}; hit; ttl=${Math.floor(status.ttl / 1e3)}${detail}`;
  const collapsed = status.collapsed ? "; collapsed" : "";
  return `${name2}; fwd=${status.fwd}${collapsed}${detail}`;
}
function withCacheStatus(before, name2, status) {
  if (name2 === false) return before;
  const own = cacheStatusField(name2, status);
  return before === void 0 ? own : `${before}, ${own}`;
}

// src/http/conditional.ts
function clientHasIt(request, { status, headers }) {
  if (status !== 200) return false;
  const asked = line(request, "if-none-match");
  if (asked !== void 0) {
    if (asked.trim() === "*") return true;
    const tag = line(headers, "etag");
    return tag !== void 0 && names(asked, tag.startsWith("W/") ? tag.slice(2) : tag);
  }
  const since = line(request, "if-modified-since");
  const modified = line(headers, "last-modified");
  return since !== void 0 && modified !== void 0 && Date.parse(modified) <= Date.parse(since);
}
function names(list2, opaque) {
  for (let open = list2.indexOf('"'); open !== -1; ) {
    const close = list2.indexOf('"', open + 1);
    if (close === -1) return false;
    if (list2.slice(open, close + 1) === opaque) return true;
    open = list2.indexOf('"', close + 1);
  }
  return false;
}
function headersOf304(headers) {
  return Object.fromEntries(Object.entries(headers).filter(([name2]) => !isOfContent(name2)));
}
function isOfContent(name2) {
  return name2.startsWith("content-") && name2 !== "content-location" || name2 === "transfer-encoding";
}

// src/http/faults.ts
var warned = /* @__PURE__ */ new Set();
function reportFault(cache, where, error) {
  chunkEC4YPOZN_cjs.channels.fault.publish(() => ({ cache, where, error }));
  if (warned.has(where)) return;
  warned.add(where);
  const { name: name2, message } = error instanceof Error ? error : { name: "Error", message: typeof error };
  process.emitWarning(
    `The response cache "${cache}" failed (${where}): ${name2}: ${message.slice(0, 200)}. Responses are sent without it.`,
    { type: "SpillwayWarning", code: "SPILLWAY_CACHE_FAULT" }
  );
}

// src/http/http-options.ts
var HTTP_DEFAULTS = Object.freeze({
  ttl: false,
  swr: false,
  staleIfError: false,
  maxBodyBytes: "1mb",
  maxVariants: 50,
  hitForMiss: "10s",
  wait: "10s",
  bodyWait: "500ms",
  credentialHeaders: Object.freeze(["authorization", "cookie"]),
  clientDirectives: true,
  vary: Object.freeze([]),
  statusName: "spillway"
});
var TOKEN = /^[\w!#$%&'*+.^`|~-]+$/;
var nameCheck = chunkEC4YPOZN_cjs.string({ pattern: TOKEN, like: "a header name" });
var headerName = (value, place) => nameCheck(value, place).toLowerCase();
var resolveHttpOptions = chunkEC4YPOZN_cjs.defineOptions(
  "cache",
  "cacheResponse",
  {
    ttl: chunkEC4YPOZN_cjs.orFalse(chunkEC4YPOZN_cjs.duration()),
    swr: chunkEC4YPOZN_cjs.orFalse(chunkEC4YPOZN_cjs.duration()),
    staleIfError: chunkEC4YPOZN_cjs.orFalse(chunkEC4YPOZN_cjs.duration()),
    key: chunkEC4YPOZN_cjs.optional(chunkEC4YPOZN_cjs.func()),
    tags: chunkEC4YPOZN_cjs.optional(chunkEC4YPOZN_cjs.func()),
    skip: chunkEC4YPOZN_cjs.optional(chunkEC4YPOZN_cjs.func()),
    maxBodyBytes: chunkEC4YPOZN_cjs.size(),
    maxVariants: chunkEC4YPOZN_cjs.integer({ min: 1 }),
    hitForMiss: chunkEC4YPOZN_cjs.duration(),
    wait: chunkEC4YPOZN_cjs.duration({ min: 1 }),
    bodyWait: chunkEC4YPOZN_cjs.duration({ min: 1 }),
    credentialHeaders: chunkEC4YPOZN_cjs.list(headerName),
    clientDirectives: chunkEC4YPOZN_cjs.boolean,
    vary: chunkEC4YPOZN_cjs.list(headerName),
    statusName: chunkEC4YPOZN_cjs.orFalse(chunkEC4YPOZN_cjs.string({ pattern: TOKEN, like: "a token" }))
  },
  HTTP_DEFAULTS
);

// src/http/cache-control.ts
var NONE = /* @__PURE__ */ new Map();
function directives(field) {
  if (field === void 0) return NONE;
  const text = typeof field === "string" ? field : field.join(",");
  const found = /* @__PURE__ */ new Map();
  let quotes = true;
  let at = 0;
  while (at < text.length) {
    const start = at;
    while (isToken(text.charCodeAt(at))) at++;
    if (at === start) {
      at++;
      continue;
    }
    const name2 = text.slice(start, at).toLowerCase();
    const equals = afterBlanks(text, at);
    let value = "";
    if (text.charCodeAt(equals) === EQUALS) {
      const from = afterBlanks(text, equals + 1);
      const inQuotes = quotes && text.charCodeAt(from) === QUOTE ? quoted(text, from) : void 0;
      if (inQuotes === void 0 && text.charCodeAt(from) === QUOTE) quotes = false;
      [value, at] = inQuotes ?? bare(text, from);
    } else at = equals;
    if (!found.has(name2)) found.set(name2, value);
  }
  return found;
}
var EQUALS = 61;
var QUOTE = 34;
var BACKSLASH = 92;
var COMMA = 44;
var TOKEN2 = new Set(
  [..."!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"].map(
    (character) => character.charCodeAt(0)
  )
);
function isToken(code) {
  return TOKEN2.has(code);
}
function isBlank(code) {
  return code === 32 || code === 9;
}
function afterBlanks(text, from) {
  let at = from;
  while (isBlank(text.charCodeAt(at))) at++;
  return at;
}
function quoted(text, open) {
  const parts = [];
  let from = open + 1;
  let at = from;
  for (; at < text.length && text.charCodeAt(at) !== QUOTE; at++) {
    if (text.charCodeAt(at) !== BACKSLASH) continue;
    parts.push(text.slice(from, at));
    from = ++at;
  }
  if (at >= text.length) return void 0;
  parts.push(text.slice(from, at));
  return [parts.join(""), at + 1];
}
function bare(text, from) {
  let at = from;
  while (at < text.length && !isBlank(text.charCodeAt(at)) && text.charCodeAt(at) !== COMMA) {
    if (text.charCodeAt(at) === QUOTE) break;
    at++;
  }
  return [text.slice(from, at), at];
}
function seconds(found, name2) {
  const value = found.get(name2);
  if (value === void 0) return void 0;
  return /^\d+$/.test(value) ? Math.min(Number(value), MAX_SECONDS) * 1e3 : 0;
}
var MAX_SECONDS = 2 ** 31;

// src/http/http-policy.ts
var AUDIENCES = ["strangers", "authorized", "everybody"];
var STORABLE = /* @__PURE__ */ new Set([200, 203, 204, 300, 301, 302, 303, 307, 308, 404, 405, 410, 414]);
var BY_DEFAULT = /* @__PURE__ */ new Set([200, 203, 204, 300, 301, 308, 404, 410]);
function storing(asker, head, options) {
  const { status, headers } = head;
  const control = directives(headers["cache-control"]);
  if (!STORABLE.has(status)) return "status";
  if (control.has("no-store")) return "no-store";
  if (control.has("private")) return "private";
  if (control.has("no-cache")) return "no-cache";
  if (headers["set-cookie"] !== void 0) return "set-cookie";
  const vary = [...new Set(members(line(headers, "vary")))].sort();
  if (vary.includes("*") || vary.includes("__proto__")) return "vary";
  const audience = audienceOf(control);
  if (!mayHave(asker, audience)) return "credentials";
  if (isEndless(headers)) return "stream";
  const age = ageOf(headers.age);
  const lifetime = lifetimeOf(head, control) ?? (BY_DEFAULT.has(status) ? options.ttl : false);
  if (lifetime === false) return "not-fresh";
  const strict = control.has("must-revalidate") || control.has("proxy-revalidate") || control.has("s-maxage");
  const swr = strict ? 0 : seconds(control, "stale-while-revalidate") ?? (options.swr || 0);
  const staleIfError = strict ? 0 : seconds(control, "stale-if-error") ?? (options.staleIfError || 0);
  const ttl = Math.max(0, lifetime - age);
  if (ttl === 0 && swr === 0) return "not-fresh";
  return { ttl, swr, staleIfError, age, audience, vary };
}
function storingSent(asker, passed, sent, options) {
  const verdict = storing(asker, sent, options);
  if (typeof verdict === "string") return verdict;
  const { head, storing: own } = passed;
  const rank = Math.min(AUDIENCES.indexOf(verdict.audience), AUDIENCES.indexOf(own.audience));
  const codedOutside = head.headers["content-encoding"] === void 0;
  const added = verdict.vary.filter((name2) => name2 !== "accept-encoding" || !codedOutside);
  const vary = [.../* @__PURE__ */ new Set([...own.vary, ...added])].sort();
  return { ...verdict, audience: AUDIENCES[rank], vary };
}
function audienceOf(control) {
  if (control.has("public") || control.has("s-maxage")) return "everybody";
  return control.has("must-revalidate") ? "authorized" : "strangers";
}
function mayHave({ credentials, partitioned }, audience) {
  if (credentials === "none" || partitioned) return true;
  return audience === "everybody" || audience === "authorized" && credentials === "authorization";
}
function credentialsOf({ headers, socket }, names2) {
  let found = socket?.authorized === true ? "other" : "none";
  for (const name2 of names2) {
    if (line(headers, name2) === void 0) continue;
    if (name2 !== "authorization") return "other";
    if (found === "none") found = "authorization";
  }
  return found;
}
var ENDLESS = ["text/event-stream", "multipart/x-mixed-replace"];
function isEndless(headers) {
  const type = line(headers, "content-type")?.trimStart().toLowerCase();
  if (type !== void 0 && ENDLESS.some((kind) => type.startsWith(kind))) return true;
  return line(headers, "x-accel-buffering")?.toLowerCase() === "no";
}
var NO_WISHES = {
  noStore: false,
  reload: false,
  onlyIfCached: false,
  maxAge: Number.POSITIVE_INFINITY,
  minFresh: 0,
  maxStale: 0
};
function wishesOf({ headers }) {
  if (headers["cache-control"] === void 0 && headers.pragma === void 0) return NO_WISHES;
  const control = directives(headers["cache-control"]);
  const pragma = headers["cache-control"] === void 0 && members(headers.pragma).includes("no-cache");
  const maxAge = seconds(control, "max-age") ?? Number.POSITIVE_INFINITY;
  const maxStale = control.get("max-stale") === "" ? Number.POSITIVE_INFINITY : seconds(control, "max-stale");
  return {
    noStore: control.has("no-store"),
    reload: control.has("no-cache") || pragma || maxAge === 0,
    onlyIfCached: control.has("only-if-cached"),
    maxAge,
    minFresh: seconds(control, "min-fresh") ?? 0,
    maxStale: maxStale ?? 0
  };
}
function lifetimeOf({ headers }, control) {
  const explicit = seconds(control, "s-maxage") ?? seconds(control, "max-age");
  if (explicit !== void 0) return explicit;
  const expires = line(headers, "expires");
  if (expires === void 0) return void 0;
  const date = Date.parse(line(headers, "date") ?? "");
  const until = Date.parse(expires);
  return Number.isNaN(until) ? 0 : Math.max(0, until - (Number.isNaN(date) ? Date.now() : date));
}
function ageOf(field) {
  const value = Number(Array.isArray(field) ? field[0] : field);
  return Number.isFinite(value) && value > 0 ? value * 1e3 : 0;
}

// src/http/sent-head.ts
function sentHead(res) {
  const { stream } = res;
  if (stream !== void 0) {
    const { ":status": status, ...headers } = stream.sentHeaders ?? {};
    return status === void 0 ? void 0 : { status: Number(status), headers: headersAsText(headers) };
  }
  const text = Reflect.get(res, "_header");
  return typeof text === "string" ? readHead(text) : void 0;
}
function readHead(text) {
  const lines = text.split("\r\n");
  const status = Number(lines[0].split(" ", 2)[1]);
  if (!Number.isInteger(status)) return void 0;
  const headers = noHeaders();
  for (const line2 of lines.slice(1)) {
    const colon = line2.indexOf(":");
    if (colon === -1) continue;
    addHeader(headers, line2.slice(0, colon).toLowerCase(), line2.slice(colon + 1).trim());
  }
  return { status, headers };
}

// src/http/capture.ts
function capture(res, maxBytes, recorder) {
  new Tap(res, maxBytes, recorder);
}
var Tap = class {
  #res;
  #maxBytes;
  #recorder;
  #writeHead;
  #write;
  #end;
  #chunks = [];
  #length = 0;
  /** The handler's head came by here. */
  #passed = false;
  /** What was sent as the head is known. */
  #known = false;
  #ended = false;
  /** The recorder was told the end. */
  #over = false;
  #within;
  #piped = false;
  /** The body of another answer that is sent in place of the handler's. */
  #substitute;
  constructor(res, maxBytes, recorder) {
    this.#res = res;
    this.#maxBytes = maxBytes;
    this.#recorder = recorder;
    this.#writeHead = res.writeHead;
    this.#write = res.write;
    this.#end = res.end;
    res.writeHead = ((...args) => this.#onHead(args));
    res.write = ((...args) => this.#onWrite(args));
    res.end = ((...args) => this.#onEnd(args));
    res.once("pipe", () => {
      this.#piped = true;
    });
    res.once("finish", () => this.#onFinish());
    res.once("close", () => this.#conclude(() => this.#recorder.lost()));
  }
  #onHead(args) {
    if (this.#passed) {
      return this.#pass(this.#writeHead, this.#substitute === void 0 ? args : [this.#res.statusCode]);
    }
    const status = Number(args[0]);
    const answer = this.#replaced(status);
    if (answer !== void 0) return this.#pass(this.#writeHead, [answer.status]);
    this.#passed = true;
    const given = headersGiven(args);
    const head = { status, headers: { ...headersAsText(this.#res.getHeaders()), ...given } };
    const result = this.#pass(this.#writeHead, this.#changed(args, given, head));
    this.#look();
    return result;
  }
  /** The arguments of `writeHead`, with what the cache has to say. */
  #changed(args, given, head) {
    const res = this.#res;
    const plan = this.#safely(() => this.#recorder.head(head, this.#courseOf(head)));
    if (!plan?.keep) this.#chunks = void 0;
    if (plan === void 0) return args;
    const { notModified, status } = plan;
    if (!notModified) {
      if (status === void 0) return args;
      if ("cache-status" in given) {
        const reason = typeof args[1] === "string" ? [args[1]] : [];
        return [args[0], ...reason, { ...given, "cache-status": status }];
      }
      res.setHeader("cache-status", status);
      return args;
    }
    for (const name2 of res.getHeaderNames()) res.removeHeader(name2);
    for (const [name2, value] of Object.entries(headersOf304(head.headers))) res.setHeader(name2, value);
    if (status !== void 0) res.setHeader("cache-status", status);
    res.statusCode = 304;
    return [304];
  }
  #courseOf({ headers }) {
    if (this.#within === "end") return "complete";
    const open = headers["content-length"] === void 0;
    return open && (this.#piped || this.#within === "write") ? "stream" : "coming";
  }
  #onWrite(args) {
    if (!this.#passed) this.#replaced(this.#res.statusCode);
    if (this.#substitute !== void 0) return true;
    this.#keep(args[0], args[1]);
    if (this.#within !== void 0) return this.#pass(this.#write, args);
    this.#within = "write";
    try {
      return this.#pass(this.#write, args);
    } finally {
      this.#within = void 0;
      this.#look();
    }
  }
  #onEnd(args) {
    if (this.#ended) return this.#pass(this.#end, args);
    if (!this.#passed) this.#replaced(this.#res.statusCode);
    this.#ended = true;
    if (this.#substitute !== void 0) return this.#pass(this.#end, [this.#substitute]);
    this.#keep(args[0], args[1]);
    this.#within = "end";
    const result = this.#pass(this.#end, args);
    if (isGone(this.#res)) this.#conclude(() => this.#recorder.lost());
    this.#look();
    return result;
  }
  /** Nothing can be added to what was sent. */
  #onFinish() {
    this.#look();
    this.#conclude(() => this.#recorder.unknown());
  }
  /** Looks whether the head has been sent, which those who stand before the cache may put off. */
  #look() {
    if (!this.#passed || this.#over) return;
    if (!this.#known) {
      const head = sentHead(this.#res);
      if (head === void 0) return;
      this.#known = true;
      if (this.#safely(() => this.#recorder.sent(head)) !== true) this.#chunks = void 0;
    }
    if (this.#ended) {
      this.#conclude(() => this.#recorder.end(this.#chunks && Buffer.concat(this.#chunks, this.#length)));
    }
  }
  #conclude(tell) {
    if (this.#over) return;
    this.#over = true;
    this.#safely(tell);
    this.#chunks = void 0;
  }
  #keep(chunk, encoding) {
    if (this.#chunks === void 0 || this.#within !== void 0) return;
    if (chunk === void 0 || chunk === null || typeof chunk === "function") return;
    const bytes = typeof chunk === "string" ? Buffer.from(chunk, typeof encoding === "string" ? encoding : "utf8") : Buffer.from(chunk);
    this.#length += bytes.length;
    if (this.#length <= this.#maxBytes) this.#chunks.push(bytes);
    else {
      this.#chunks = void 0;
      if (this.#passed) this.#conclude(() => this.#recorder.end(void 0));
    }
  }
  #replaced(status) {
    const res = this.#res;
    const answer = res.headersSent ? void 0 : this.#safely(() => this.#recorder.instead(status));
    if (answer === void 0) return void 0;
    this.#passed = true;
    this.#over = true;
    this.#chunks = void 0;
    this.#substitute = answer.body;
    for (const name2 of res.getHeaderNames()) res.removeHeader(name2);
    for (const name2 in answer.headers) res.setHeader(name2, answer.headers[name2]);
    for (const name2 in answer.told) res.setHeader(name2, answer.told[name2]);
    res.statusCode = answer.status;
    if (!("stream" in res)) res.statusMessage = "";
    return answer;
  }
  #pass(method, args) {
    return Reflect.apply(method, this.#res, args);
  }
  /** What fails here must not fail the app. */
  #safely(work) {
    try {
      return work();
    } catch (error) {
      this.#recorder.broke(error);
      return void 0;
    }
  }
};
function isGone(res) {
  const { stream } = res;
  return res.destroyed || stream?.destroyed === true;
}
function serverOf(req) {
  const { stream } = req;
  const server = stream?.session?.server ?? req.socket.server;
  return typeof server?.emit === "function" && server.listenerCount("request") > 0 ? server : void 0;
}
function rerun(original, server, url, credentials, begin, over) {
  const socket = stageSocket(original.socket, server);
  const copy = new node_http.IncomingMessage(socket);
  copy.method = "GET";
  copy.url = url;
  const { httpVersionMajor: major, httpVersionMinor: minor } = original;
  [copy.httpVersionMajor, copy.httpVersionMinor] = major > 1 ? [1, 1] : [major, minor];
  copy.httpVersion = `${copy.httpVersionMajor}.${copy.httpVersionMinor}`;
  copy.headers = without([...CONDITIONS, ...credentials], original.headers);
  const authority = copy.headers[":authority"];
  for (const name2 in copy.headers) if (name2.startsWith(":")) delete copy.headers[name2];
  if (typeof authority === "string") copy.headers.host ??= authority;
  for (const name2 in copy.headers) copy.rawHeaders.push(name2, String(copy.headers[name2]));
  copy.complete = true;
  copy.push(null);
  const res = new node_http.ServerResponse(copy);
  res.assignSocket(socket);
  res.once("finish", () => socket.destroy());
  res.once("close", over);
  begin(copy);
  server.emit("request", copy, res);
}
var CONDITIONS = ["if-none-match", "if-modified-since", "if-match", "if-unmodified-since", "if-range"];
function without(names2, headers) {
  const rest = { ...headers };
  for (const name2 of names2) delete rest[name2];
  return rest;
}
function hideConditions(req) {
  const { headers } = req;
  if (!CONDITIONS.some((name2) => name2 in headers)) return;
  const value = without(CONDITIONS, headers);
  Object.defineProperty(req, "headers", { value, configurable: true, enumerable: true, writable: true });
}
function stageSocket(real, server) {
  const socket = new node_net.Socket();
  socket._write = (_chunk, _encoding, done) => done();
  socket._writev = (_chunks, done) => done();
  const { remoteAddress, remotePort, remoteFamily, localAddress, localPort } = real;
  const encrypted = real.encrypted;
  const facts = { remoteAddress, remotePort, remoteFamily, localAddress, localPort, encrypted, server };
  for (const [name2, value] of Object.entries(facts)) Object.defineProperty(socket, name2, { value });
  return socket;
}
function packRecord(record) {
  const { body, ...head } = record.kind === "response" ? record : { ...record, body: Buffer.alloc(0) };
  const json = Buffer.from(JSON.stringify(head));
  const length = Buffer.allocUnsafe(4);
  length.writeUInt32BE(json.length);
  return Buffer.concat([length, json, body]);
}
var read = /* @__PURE__ */ new WeakMap();
function unpackRecord(value) {
  if (!Buffer.isBuffer(value)) return void 0;
  const known = read.get(value);
  if (known !== void 0) return known;
  const record = parse(value);
  if (record !== void 0) read.set(value, record);
  return record;
}
function parse(bytes) {
  if (bytes.length < 4) return void 0;
  const end = 4 + bytes.readUInt32BE(0);
  if (end > bytes.length) return void 0;
  try {
    const head = JSON.parse(bytes.toString("utf8", 4, end));
    if (typeof head !== "object" || head === null) return void 0;
    const record = head;
    if (record.kind === "variants") return isVariants(record) ? record : void 0;
    if (record.kind === "refused") return record;
    if (record.kind !== "response" || !isHead(record)) return void 0;
    const body = bytes.subarray(end);
    const length = record.status === 204 ? {} : { "content-length": String(body.length) };
    return { ...record, headers: { ...record.headers, ...length }, body };
  } catch {
    return void 0;
  }
}
function isVariants(record) {
  const { id, names: names2 } = record;
  return typeof id === "string" && Array.isArray(names2) && names2.every((name2) => typeof name2 === "string");
}
function isHead(record) {
  const { status, headers, born, freshUntil, staleUntil, audience } = record;
  if (!Number.isInteger(status) || status < 200 || status > 599) return false;
  if (![born, freshUntil, staleUntil].every(Number.isFinite)) return false;
  if (!AUDIENCES.includes(audience) || typeof headers !== "object" || headers === null) return false;
  for (const [name2, value] of Object.entries(headers)) {
    node_http.validateHeaderName(name2);
    for (const each of [value].flat()) {
      if (typeof each !== "string") return false;
      node_http.validateHeaderValue(name2, each);
    }
  }
  return true;
}
function validatorOf(body) {
  return `W/"${node_crypto.createHash("sha1").update(body).digest("base64url")}"`;
}

// src/http/origin.ts
var NAMES = [
  "x-forwarded-host",
  "x-forwarded-proto",
  "x-forwarded-port",
  "x-forwarded-prefix",
  "x-forwarded-scheme",
  "x-original-host",
  "x-original-url",
  "x-rewrite-url"
];
function originToldBy({ headers }) {
  const told = [];
  for (const name2 of NAMES) {
    if (headers[name2] !== void 0) told.push(name2, line(headers, name2));
  }
  const { ":authority": authority, host } = headers;
  if (authority !== void 0 && host !== void 0 && authority !== host) told.push("host", host);
  if (headers.forwarded !== void 0) {
    const pairs = headers.forwarded.split(/[;,]/).map((pair) => pair.trim().toLowerCase());
    const rest = pairs.filter((pair) => pair !== "" && !isOfNode(pair));
    if (rest.length > 0) told.push("forwarded", rest.join(";"));
  }
  return told.length === 0 ? void 0 : JSON.stringify(told);
}
function isOfNode(pair) {
  return pair.startsWith("for=") || pair.startsWith("by=");
}

// src/http/visit.ts
function visitOf(exchange, partition, tags, { credentialHeaders, clientDirectives }, clock) {
  const { req, res, url, target, scheme, before } = exchange;
  const resource = resourceOf(exchange, partition);
  const key = chunkEC4YPOZN_cjs.ownKey(resource);
  return {
    req,
    res,
    url,
    target,
    scheme,
    before,
    resource,
    key,
    partitioned: partition !== void 0,
    credentials: credentialsOf(req, credentialHeaders),
    wishes: clientDirectives ? wishesOf(req) : NO_WISHES,
    tags,
    begun: clock(key)
  };
}
var AUTHORITY = /^[\w.:[\]-]*$/;
function resourceOf({ req, scheme, url, target }, partition) {
  const { headers } = req;
  const authority = (line(headers, ":authority") ?? headers.host ?? "").toLowerCase();
  const told = originToldBy(req);
  const asked = line(headers, ":scheme") ?? scheme;
  const isPlain = SCHEMES.has(scheme) && asked === scheme && told === void 0 && target === url;
  if (isPlain && partition === void 0 && AUTHORITY.test(authority)) return `${scheme}:${authority}|${url}`;
  const parts = [authority, url, target === url ? null : target, told ?? null, scheme, asked];
  return `*${chunkEC4YPOZN_cjs.encodeKey(partition === void 0 ? parts : [...parts, partition])}`;
}
var SCHEMES = /* @__PURE__ */ new Set(["http", "https"]);
function isUnusual(req) {
  const { headers } = req;
  return headers.range !== void 0 || headers.upgrade !== void 0 || headers["transfer-encoding"] !== void 0 || Number(headers["content-length"] ?? 0) > 0 || hasHttp2Body(req) || OVERRIDES.some((name2) => headers[name2] !== void 0);
}
var OVERRIDES = ["x-http-method-override", "x-http-method", "x-method-override"];
function hasHttp2Body(req) {
  const { stream } = req;
  return stream?.endAfterHeaders === false;
}
function variantOf(headers, names2) {
  const values = names2.map((name2) => {
    const value = line(headers, name2);
    if (value === void 0) return null;
    const items = value.split(",").map((item) => item.trim());
    return name2 === "accept-encoding" ? codings(items) : items.join(",");
  });
  return chunkEC4YPOZN_cjs.shortName(JSON.stringify([names2, values]));
}
function codings(items) {
  return items.map((item) => item.toLowerCase().split(";")).filter(([, ...weights]) => !weights.some(isNothing)).map(([coding]) => coding.trim()).sort().join(",");
}
function isNothing(weight) {
  const [name2, value = ""] = weight.split("=", 2);
  return name2.trim() === "q" && value.trim() !== "" && Number(value) === 0;
}

// src/http/lead.ts
var Unfinished = class extends Error {
};
function variantKey({ id }, variant) {
  return chunkEC4YPOZN_cjs.ownKey(`variant:${id}:${variant}`);
}
var NOT_STORED = /* @__PURE__ */ new Set([
  ...[
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding"
  ],
  ...["upgrade", "age", "cache-status", "content-length", "set-cookie"]
]);
var led = /* @__PURE__ */ new WeakMap();
function isLed({ req, resource }, cache) {
  return led.get(req)?.some((task) => task.cache === cache && task.visit.resource === resource) === true;
}
var Lead = class {
  #task;
  /** As the client asked; the handler is not shown the conditions, since it is to answer in full. */
  #asked;
  #before;
  /** How the response came from the handler, when it may be stored. */
  #passed;
  #notModified = false;
  /** How it may be stored as it was sent. */
  #storing;
  #body;
  #over = false;
  constructor(task) {
    this.#task = task;
    const { req, res } = task.visit;
    this.#asked = req.headers;
    this.#before = headersAsText(task.visit.before());
    hideConditions(req);
    capture(res, task.options.maxBodyBytes, this);
    led.set(req, [...led.get(req) ?? [], task]);
  }
  instead(status) {
    const { stale } = this.#task;
    if (status < 500 || stale === void 0 || this.#over) return void 0;
    this.#fail(`The handler answered ${status}`);
    return { ...stale, headers: { ...this.#before, ...stale.headers } };
  }
  head(head, course) {
    const { options, visit } = this.#task;
    this.#notModified = clientHasIt(this.#asked, head);
    const verdict = storing(visit, head, options);
    const refusal = typeof verdict === "string" ? verdict : this.#refusalOf(head, course);
    const status = withCacheStatus(line(head.headers, "cache-status"), options.statusName, {
      fwd: this.#reason(),
      detail: refusal
    });
    if (typeof verdict === "string" || refusal !== void 0) this.#refuse(refusal, head.status);
    else this.#passed = { head, storing: verdict };
    if (course === "coming") this.#await();
    return { keep: refusal === void 0, notModified: this.#notModified, status };
  }
  sent({ status, headers }) {
    if (this.#over || this.#passed === void 0) return false;
    const { options, visit } = this.#task;
    const { head } = this.#passed;
    const verdict = status === (this.#notModified ? 304 : head.status) ? storingSent(visit, this.#passed, { status: head.status, headers }, options) : "status";
    if (typeof verdict === "string") this.#refuse(verdict, status);
    else this.#storing = verdict;
    return typeof verdict !== "string";
  }
  end(body) {
    if (this.#over || this.#passed === void 0) return;
    const { head } = this.#passed;
    const declared = line(head.headers, "content-length");
    if (body === void 0) this.#refuse("too-large", head.status);
    else if (declared !== void 0 && Number(declared) !== body.length) {
      this.#refuse("truncated", head.status);
    } else if (this.#storing === void 0) this.unknown();
    else {
      this.#settle();
      const { done, fail } = this.#task;
      this.#store(head, this.#storing, body).then(done, fail);
    }
  }
  lost() {
    this.#fail("The response broke off");
  }
  unknown() {
    this.#refuse("unknown", 0);
  }
  broke(error) {
    reportFault(this.#task.cache.name, "capture", error);
    this.#fail("The cache failed");
  }
  #reason() {
    const { visit, context, level } = this.#task;
    if (visit.wishes.reload) return "request";
    if (context.stale !== void 0) return "stale";
    return level.variants === void 0 ? "uri-miss" : "vary-miss";
  }
  #refusalOf({ headers }, course) {
    if (course === "stream") return "stream";
    return Number(headers["content-length"] ?? 0) > this.#task.options.maxBodyBytes ? "too-large" : void 0;
  }
  /** Others wait for the rest, but not long. */
  #await() {
    const { bodies, context, visit } = this.#task;
    if (this.#over || context.background) return;
    const late = () => this.#refuse("slow", isHeldUp(visit.res) ? 500 : 200);
    this.#body = { next: void 0, previous: void 0, since: performance.now(), late };
    bodies.add(this.#body);
  }
  #refuse(reason, status) {
    if (this.#over) return;
    this.#settle();
    this.#task.refused(reason, status >= 500);
  }
  #fail(why) {
    if (this.#over) return;
    this.#settle();
    this.#task.fail(new Unfinished(why));
  }
  #settle() {
    this.#over = true;
    if (this.#body !== void 0) this.#task.bodies.end(this.#body);
  }
  async #store(head, storing2, body) {
    const { cache, context, level, visit } = this.#task;
    const { ttl, swr, staleIfError } = storing2;
    const response = packRecord(this.#record(head, storing2, body));
    const lifetime = { ttl: Math.max(1, ttl), swr, staleIfError };
    const names2 = [.../* @__PURE__ */ new Set([...storing2.vary, ...this.#task.names])].sort();
    if (level.variants !== void 0) {
      if (names2.every((name2) => level.variants?.names.includes(name2))) {
        context.setTtl(lifetime.ttl);
        context.setStale({ swr, staleIfError });
        return response;
      }
      await cache.delete(visit.key);
      return void 0;
    }
    if (names2.length === 0) {
      context.setTtl(lifetime.ttl);
      context.setStale({ swr, staleIfError });
      return response;
    }
    const variants = { kind: "variants", id: node_crypto.randomUUID(), names: names2 };
    const variant = variantOf(this.#asked, names2);
    this.#task.counts(variants.id, variant);
    const options = { ...lifetime, tags: visit.tags(), share: "reference" };
    await cache.set(variantKey(variants, variant), response, options);
    context.setTtl(Math.max(RECORD_TTL, lifetime.ttl + swr + staleIfError));
    context.setStale({ swr: false, staleIfError: false });
    return packRecord(variants);
  }
  #record({ status, headers }, { ttl, age, staleIfError, audience }, body) {
    const { cache, visit } = this.#task;
    const now = cache.now(visit.key);
    const own = new Set(members(line(headers, "connection")));
    const kept = noHeaders();
    for (const name2 in headers) {
      const value = headers[name2];
      if (NOT_STORED.has(name2) || own.has(name2) || this.#isFromBefore(name2, value)) continue;
      kept[name2] = value;
    }
    kept.date ??= new Date(now).toUTCString();
    if (status === 200) kept.etag ??= validatorOf(body);
    const freshUntil = now + ttl;
    return {
      kind: "response",
      status,
      headers: kept,
      body,
      born: now - age,
      freshUntil,
      staleUntil: freshUntil + staleIfError,
      audience
    };
  }
  /** The header was set before the handler ran, and the handler left it as it was. */
  #isFromBefore(name2, value) {
    const before = this.#before[name2];
    return before !== void 0 && String(before) === String(value);
  }
};
function isHeldUp(res) {
  const { stream } = res;
  return (stream ?? res).writableNeedDrain;
}
var RECORD_TTL = 36e5;
var MAX_MARKS = 1e4;
var MAX_BYTES = 8e6;
var BRIEFLY = 1e3;
var Marks = class {
  #milliseconds;
  #maxVariants;
  #until = new lruCache.LRUCache({ max: MAX_MARKS });
  /** Names that a resource was seen to vary by; what one response forgets to say, another has said. */
  #names = new lruCache.LRUCache({ max: MAX_MARKS });
  #variants = new lruCache.LRUCache({
    max: MAX_MARKS,
    maxSize: MAX_BYTES,
    sizeCalculation: bytesOf
  });
  constructor(milliseconds, maxVariants) {
    this.#milliseconds = milliseconds;
    this.#maxVariants = maxVariants;
  }
  /**
   * What a client with credentials gets says nothing of what strangers would get: it cannot make them go without the cache.
   *
   * @param brief it may be otherwise the next time
   */
  hitForMiss(visit, brief) {
    const milliseconds = brief ? Math.min(BRIEFLY, this.#milliseconds) : this.#milliseconds;
    this.#until.set(name(visit), performance.now() + milliseconds);
  }
  isHitForMiss(visit) {
    const until = this.#until.get(name(visit));
    return until !== void 0 && performance.now() < until;
  }
  variesBy({ resource }, names2) {
    this.#names.set(chunkEC4YPOZN_cjs.shortName(resource), names2);
  }
  namesOf({ resource }) {
    return this.#names.get(chunkEC4YPOZN_cjs.shortName(resource)) ?? [];
  }
  /** False for one variant too many. @param id of the record that leads to the variants: a new one begins anew */
  admitsVariant(id, variant) {
    const known = this.#variants.get(id) ?? /* @__PURE__ */ new Set();
    if (known.has(variant)) return true;
    if (known.size >= this.#maxVariants) return false;
    this.#variants.delete(id);
    this.#variants.set(id, known.add(variant));
    return true;
  }
};
function name({ resource, credentials }) {
  return chunkEC4YPOZN_cjs.shortName(`${credentials === "none" ? "-" : "+"}${resource}`);
}
var ENTRY = 50;
function bytesOf(variants, id) {
  let bytes = id.length + ENTRY;
  for (const variant of variants) bytes += variant.length + ENTRY;
  return bytes;
}

// src/http/response-cache.ts
var OF_CLIENTS = ["authorization", "proxy-authorization", "cookie"];
var ATTEMPTS = 3;
var SAFE = /* @__PURE__ */ new Set(["GET", "HEAD", "OPTIONS", "TRACE"]);
var ResponseCache = class {
  #cache;
  #options;
  #callbacks;
  #marks;
  /** Request headers that a request of our own never has. */
  #stripped;
  #bodies;
  /** Requests made by ourselves, to fetch something anew. */
  #reruns = /* @__PURE__ */ new WeakMap();
  /** @throws TypeError | RangeError `ERR_CACHE_OPTION` */
  constructor(cache, options = {}) {
    this.#cache = cache;
    this.#options = resolveHttpOptions(options);
    this.#callbacks = options;
    this.#marks = new Marks(this.#options.hitForMiss, this.#options.maxVariants);
    this.#stripped = [...OF_CLIENTS, ...this.#options.credentialHeaders];
    this.#bodies = new chunkEC4YPOZN_cjs.TimeoutQueue(this.#options.bodyWait, ({ late }) => late());
  }
  /**
   * The answer to send, at once when this process has it; `undefined`: let the handler run. Its response is then
   * watched where it is sent.
   *
   * @throws what the user's own callbacks throw
   */
  answer(exchange, args) {
    const { req } = exchange;
    const task = this.#reruns.get(req);
    if (task !== void 0) {
      new Lead({ ...task, visit: { ...task.visit, ...exchange, credentials: "none" } });
      return void 0;
    }
    const { key, skip, tags } = this.#callbacks;
    if (skip?.(...args)) return void 0;
    const partition = key?.(...args);
    const method = req.method ?? "GET";
    if (!SAFE.has(method)) return this.#invalidates(exchange, partition);
    if (method !== "GET" && method !== "HEAD") return this.#pass(exchange, { fwd: "method" });
    if (isUnusual(req)) return this.#pass(exchange, { fwd: "bypass" });
    if (key !== void 0 && partition === void 0) return this.#pass(exchange, { fwd: "bypass" });
    const tagsOf = tags === void 0 ? NO_TAGS : () => tags(...args);
    const visit = visitOf(exchange, partition, tagsOf, this.#options, this.#clock);
    if (isLed(visit, this.#cache)) return void 0;
    if (visit.wishes.noStore) return this.#pass(exchange, { fwd: "request" });
    const held = this.#held(visit);
    if (held !== void 0) return this.#replay(visit, held, visit.begun);
    if (method === "HEAD" || visit.wishes.onlyIfCached) return this.#onlyStored(visit);
    return this.#get(visit);
  }
  /** What this process holds for the request, fresh and in every way good enough. */
  #held(visit) {
    let record = unpackRecord(this.#cache.peek(visit.key));
    if (record?.kind === "variants") {
      record = unpackRecord(this.#cache.peek(variantKey(record, variantOf(visit.req.headers, record.names))));
    }
    if (record?.kind !== "response") return void 0;
    return mayHave(visit, record.audience) && this.#newEnough(visit, record, visit.begun) ? record : void 0;
  }
  async #get(visit) {
    if (this.#marks.isHitForMiss(visit)) return this.#pass(visit, { fwd: "uri-miss", detail: "hit-for-miss" });
    let reload = visit.wishes.reload;
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const found = await this.#search(visit, reload);
      if (found === "leading") return void 0;
      if (found === "refused") break;
      if (found === "lost") continue;
      if (found === "unreadable") {
        reload = true;
        continue;
      }
      if (!mayHave(visit, found.audience)) break;
      const now = this.#clock(visit.key);
      if (reload || this.#newEnough(visit, found, now)) {
        return this.#replay(visit, found, now, found.born >= visit.begun);
      }
      reload = true;
    }
    return this.#pass(visit, { fwd: visit.wishes.reload ? "request" : "uri-miss" });
  }
  /** Looks under the resource's key, and from there to the variant of this request. */
  async #search(visit, reload) {
    const first = await this.#lookUp(visit, { key: visit.key }, reload);
    if (typeof first === "string" || first.kind === "response") return first;
    const variant = variantOf(visit.req.headers, first.names);
    this.#marks.variesBy(visit, first.names);
    if (!this.#marks.admitsVariant(first.id, variant)) return "refused";
    const key = variantKey(first, variant);
    const second = await this.#lookUp(visit, { key, variants: first }, reload);
    return typeof second === "string" || second.kind === "response" ? second : "refused";
  }
  /** Waits for the stored record, or for the one request that is making it; that may become this one. */
  #lookUp(visit, level, reload) {
    return new Promise((resolve) => {
      const server = this.#refreshable(visit, level) ? serverOf(visit.req) : void 0;
      const load = (context) => new Promise((done, fail) => {
        const task = this.#task(visit, level, context, done, fail);
        if (context.background) this.#refresh(task, server);
        else if (this.#leads(task)) resolve("leading");
        else resolve("refused");
      });
      this.#cache.getOrSet(level.key, load, {
        ttl: 1,
        swr: server === void 0 ? false : FOR_EVER,
        staleIfError: FOR_EVER,
        tags: visit.tags(),
        share: "reference",
        loadTimeout: this.#options.wait,
        refresh: reload
      }).then(
        (value) => resolve(recordFor(visit, value)),
        (error) => {
          if (!isExpected(error)) reportFault(this.#cache.name, "lookup", error);
          resolve(error instanceof Unfinished ? "lost" : "refused");
        }
      );
    });
  }
  /**
   * Whether what is stored for this request could be fetched anew without its client. Not when the client is a part of what
   * is asked for: the response to a stranger must not take its place.
   */
  #refreshable({ req, credentials, partitioned }, { variants }) {
    if (partitioned) {
      return credentials === "none" && this.#stripped.every((name2) => line(req.headers, name2) === void 0);
    }
    return !variants?.names.some(
      (name2) => this.#stripped.includes(name2) && line(req.headers, name2) !== void 0
    );
  }
  #leads(task) {
    try {
      new Lead(task);
      return true;
    } catch (error) {
      task.fail(error);
      return false;
    }
  }
  #task(visit, level, context, done, fail) {
    const old = unpackRecord(context.stale);
    const brokeDown = (error) => {
      const expected = isExpected(error);
      if (!expected) reportFault(this.#cache.name, context.background ? "refresh" : "capture", error);
      fail(expected ? error : new Unfinished("The cache failed"));
    };
    return {
      cache: this.#cache,
      options: this.#options,
      visit,
      level,
      context,
      stale: old?.kind === "response" ? this.#insteadOfError(visit, old) : void 0,
      names: [...this.#options.vary, ...this.#marks.namesOf(visit)],
      counts: (id, variant) => void this.#marks.admitsVariant(id, variant),
      bodies: this.#bodies,
      done,
      fail: brokeDown,
      refused: (reason, brief) => this.#refused(visit, context, reason, brief, done, brokeDown)
    };
  }
  #insteadOfError(visit, old) {
    const now = this.#clock(visit.key);
    return now < old.staleUntil && mayHave(visit, old.audience) ? this.#replay(visit, old, now) : void 0;
  }
  #refused(visit, context, reason, brief, done, fail) {
    const stranger = visit.credentials === "none";
    if (!context.background) {
      this.#marks.hitForMiss(visit, brief);
      context.skip();
      done(packRecord({ kind: "refused", credentials: !stranger }));
    } else if (PASSING.has(reason) || !stranger) fail(new Unfinished(`Not stored: ${reason}`));
    else {
      this.#cache.delete(visit.key).then(() => done(void 0), fail);
    }
  }
  /** Fetches anew what is stale, for all who may have it: a client who may not does not touch it. */
  #refresh(task, server) {
    const { visit, context, done, fail } = task;
    const old = unpackRecord(context.stale);
    if (old?.kind === "response" && !mayHave(visit, old.audience)) {
      context.skip();
      done(context.stale);
      return;
    }
    if (server === void 0) {
      fail(new Unfinished("There is no server to ask"));
      return;
    }
    const over = () => fail(new Unfinished("The app did not reach the cache"));
    const begin = (copy) => this.#reruns.set(copy, { ...task, stale: void 0 });
    try {
      rerun(visit.req, server, visit.url, this.#stripped, begin, over);
    } catch (error) {
      fail(error);
    }
  }
  async #onlyStored(visit) {
    const found = await this.#stored(visit).catch((error) => {
      if (!isExpected(error)) reportFault(this.#cache.name, "lookup", error);
    });
    const now = this.#clock(visit.key);
    if (found !== void 0 && mayHave(visit, found.audience) && this.#newEnough(visit, found, now)) {
      return this.#replay(visit, found, now);
    }
    if (!visit.wishes.onlyIfCached) return this.#pass(visit, { fwd: "uri-miss" });
    return { status: 504, headers: {}, told: {}, body: NOTHING };
  }
  async #stored(visit) {
    const record = unpackRecord(await this.#cache.get(visit.key));
    if (record?.kind === "response") return record;
    if (record?.kind !== "variants") return void 0;
    const key = variantKey(record, variantOf(visit.req.headers, record.names));
    const second = unpackRecord(await this.#cache.get(key));
    return second?.kind === "response" ? second : void 0;
  }
  #newEnough({ wishes, begun }, { born, freshUntil }, now) {
    if (born > begun) return true;
    if (wishes.reload || now - born > wishes.maxAge) return false;
    return wishes.minFresh === 0 || freshUntil - now >= wishes.minFresh;
  }
  /** @param collapsed it was made for another while this one waited */
  #replay({ req }, stored, now, collapsed = false) {
    const { status, headers, body, born, freshUntil } = stored;
    const did = collapsed ? { fwd: "uri-miss", collapsed: true } : { hit: true, ttl: freshUntil - now };
    const age = String(Math.max(0, Math.floor((now - born) / 1e3)));
    const field = withCacheStatus(void 0, this.#options.statusName, did);
    const told = field === void 0 ? { age } : { age, "cache-status": field };
    if (clientHasIt(req.headers, stored)) {
      return { status: 304, headers: headersOf304(headers), told, body: NOTHING };
    }
    return { status, headers, told, body };
  }
  /** The handler runs, unwatched. */
  #pass({ res }, status) {
    const field = withCacheStatus(void 0, this.#options.statusName, status);
    if (field !== void 0) res.setHeader("cache-status", field);
  }
  /** What an unsafe method changes is invalid when it has succeeded (RFC 9111 section 4.4), before the client knows. */
  #invalidates(exchange, partition) {
    this.#pass(exchange, { fwd: "method" });
    beforeEnd(exchange.res, (head) => {
      if (head.status < 200 || head.status >= 400) return void 0;
      const others = alsoChanged(exchange, head).map((url) => ({ ...exchange, url, target: url }));
      const keys = [exchange, ...others].map((each) => chunkEC4YPOZN_cjs.ownKey(resourceOf(each, partition)));
      return this.#cache.deleteMany(keys).catch((error) => {
        if (!isExpected(error)) reportFault(this.#cache.name, "invalidate", error);
      });
    });
  }
  /** The times of a response and of all its variants are by the clock of the server that has the resource's key. */
  #clock = (key) => this.#cache.now(key);
};
var NO_TAGS = () => [];
var NOTHING = Buffer.alloc(0);
var FOR_EVER = 365 * 864e5;
var PASSING = /* @__PURE__ */ new Set(["status", "slow", "truncated", "unknown"]);
function recordFor({ credentials }, value) {
  if (value === void 0) return "refused";
  const record = unpackRecord(value);
  if (record === void 0) return "unreadable";
  if (record.kind !== "refused") return record;
  return record.credentials === (credentials !== "none") ? "refused" : "lost";
}
function isExpected(error) {
  return error instanceof Unfinished || error instanceof chunkEC4YPOZN_cjs.LoadTimeoutError || error instanceof chunkEC4YPOZN_cjs.CacheClosedError;
}

exports.ResponseCache = ResponseCache;
