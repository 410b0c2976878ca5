'use strict';

var node_async_hooks = require('node:async_hooks');
var diagnosticsChannel = require('node:diagnostics_channel');
var node_util = require('node:util');
var node_crypto = require('node:crypto');

function _interopDefault (e) { return e && e.__esModule ? e : { default: e }; }

var diagnosticsChannel__default = /*#__PURE__*/_interopDefault(diagnosticsChannel);

// ../kit/src/abort-listeners.ts
var listeners = /* @__PURE__ */ new WeakMap();
function onAbort(signal, listener) {
  let all = listeners.get(signal);
  if (all === void 0) {
    all = /* @__PURE__ */ new Set();
    listeners.set(signal, all);
  }
  if (all.size === 0) signal.addEventListener("abort", tellAll, { once: true });
  all.add(listener);
}
function offAbort(signal, listener) {
  const all = listeners.get(signal);
  if (all?.delete(listener) && all.size === 0) signal.removeEventListener("abort", tellAll);
}
function tellAll({ target }) {
  const signal = target;
  const all = listeners.get(signal) ?? /* @__PURE__ */ new Set();
  for (const listener of all) {
    all.delete(listener);
    try {
      listener();
    } catch (error) {
      process.nextTick(() => {
        throw error;
      });
    }
  }
  listeners.delete(signal);
}

// ../kit/src/abort.ts
var MAX_TIMER = 2147483647;
function sleep(milliseconds, { signal, ref = false } = {}) {
  if (signal?.aborted) return Promise.reject(signal.reason);
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(
      () => {
        if (signal !== void 0) offAbort(signal, stop);
        resolve();
      },
      Math.min(milliseconds, MAX_TIMER)
    );
    if (!ref) timer.unref();
    if (signal !== void 0) onAbort(signal, stop);
  });
}
function channel(name) {
  return new DiagnosticsChannel(name);
}
var DiagnosticsChannel = class {
  name;
  #target;
  constructor(name) {
    this.name = name;
    this.#target = diagnosticsChannel__default.default.channel(name);
  }
  get active() {
    return this.#target.hasSubscribers;
  }
  publish(message, caller2) {
    if (!this.#target.hasSubscribers) return;
    if (caller2 === void 0) this.#target.publish(message());
    else caller2.runInAsyncScope(this.#target.publish, this.#target, message());
  }
};
var UNTRACKED = { requireManualDestroy: true };
function caller() {
  return new node_async_hooks.AsyncResource("Spillway", UNTRACKED);
}
function callerOf(listened) {
  for (let i = 0; i < listened.length; i++) if (listened[i].active) return caller();
  return void 0;
}

// ../kit/src/clock.ts
var wallClock = { now: () => Date.now() };
var NO_DETAILS = Object.freeze({});
var RejectedError = class extends Error {
  code;
  status;
  statusCode;
  expose;
  headers;
  constructor(message, init) {
    const limit = Error.stackTraceLimit;
    Error.stackTraceLimit = 0;
    super(message, init.cause === void 0 ? void 0 : { cause: init.cause });
    Error.stackTraceLimit = limit;
    this.code = init.code;
    this.status = init.status;
    this.statusCode = init.status;
    this.expose = init.expose ?? true;
    this.headers = init.headers ?? {};
    if (init.details !== void 0) Object.defineProperty(this, "details", { value: init.details });
  }
  /** All that is known, in several lines: for the eyes of a developer, not for a log that others read. */
  report() {
    const { details, cause } = this;
    const lines = [lineOf(this)];
    if (details !== NO_DETAILS) lines.push(node_util.inspect(details, { depth: 6 }));
    if (cause !== void 0) lines.push(`Cause: ${node_util.inspect(cause)}`);
    return lines.join("\n");
  }
  toJSON() {
    const { name, code, status, statusCode, expose, message, headers } = this;
    return { name, code, status, statusCode, expose, message, headers };
  }
  [node_util.inspect.custom]() {
    return lineOf(this);
  }
};
Object.defineProperty(RejectedError.prototype, "details", { value: NO_DETAILS });
function lineOf({ name, code, message, details: { reason } }) {
  return `${name} [${code}]: ${message}${reason === void 0 ? "" : ` (${reason})`}`;
}
function brand(errorClass, name) {
  const mark = /* @__PURE__ */ Symbol.for(`spillway.${name}`);
  Object.defineProperty(errorClass.prototype, mark, { value: true });
  Object.defineProperty(errorClass.prototype, "name", { value: name, configurable: true, writable: true });
  Object.defineProperty(errorClass, Symbol.hasInstance, {
    value(value) {
      if (typeof value !== "object" || value === null) return false;
      if (this !== errorClass) return Function.prototype[Symbol.hasInstance].call(this, value);
      return value[mark] === true;
    }
  });
}
brand(RejectedError, "RejectedError");
function misuse(errorClass, code, message) {
  const error = Object.assign(new errorClass(message), { code });
  Error.captureStackTrace(error, misuse);
  return error;
}

// ../kit/src/durations.ts
var MILLISECONDS = {
  ms: 1,
  s: 1e3,
  m: 6e4,
  h: 36e5,
  d: 864e5
};
var PATTERN = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/;
function durationMs(value) {
  if (typeof value === "number") return Number.isFinite(value) && value >= 0 ? value : void 0;
  if (typeof value !== "string") return void 0;
  const match = PATTERN.exec(value);
  if (match === null) return void 0;
  const milliseconds = Number(match[1]) * MILLISECONDS[match[2]];
  return Number.isFinite(milliseconds) ? milliseconds : void 0;
}

// ../kit/src/lifecycle.ts
function closeOnce(release) {
  let closing;
  return (options = {}) => {
    closing ??= (async () => release(options))();
    return closing;
  };
}
async function drainWithin(drained, { timeout, signal }, fallback) {
  const limit = new AbortController();
  const stop = signal === void 0 ? limit.signal : AbortSignal.any([signal, limit.signal]);
  const done = drained.then(
    () => true,
    () => true
  );
  const late = sleep(durationMs(timeout) ?? durationMs(fallback) ?? 0, { signal: stop }).then(
    () => false,
    () => false
  );
  try {
    return await Promise.race([done, late]);
  } finally {
    limit.abort();
  }
}

// ../kit/src/linked-list.ts
var LinkedList = class {
  #count = 0;
  #first;
  #last;
  get size() {
    return this.#count;
  }
  /** Who came before all others that are still there. */
  get first() {
    return this.#first;
  }
  add(member) {
    member.next = void 0;
    member.previous = this.#last;
    if (this.#last === void 0) this.#first = member;
    else this.#last.next = member;
    this.#last = member;
    this.#count++;
  }
  /** Tells whether it was there. */
  delete(member) {
    const { next, previous } = member;
    if (previous === void 0 && this.#first !== member) return false;
    if (previous === void 0) this.#first = next;
    else previous.next = next;
    if (next === void 0) this.#last = previous;
    else next.previous = previous;
    member.next = void 0;
    member.previous = void 0;
    this.#count--;
    return true;
  }
  /** A member may go while it is visited. */
  *[Symbol.iterator]() {
    for (let member = this.#first; member !== void 0; ) {
      const { next } = member;
      yield member;
      member = next;
    }
  }
};

// ../kit/src/sizes.ts
var BYTES = { b: 1, kb: 1024, mb: 1024 ** 2, gb: 1024 ** 3 };
var PATTERN2 = /^(\d+(?:\.\d+)?)(b|kb|mb|gb)$/i;
function sizeBytes(value) {
  if (typeof value === "number") return Number.isFinite(value) && value >= 0 ? Math.floor(value) : void 0;
  if (typeof value !== "string") return void 0;
  const match = PATTERN2.exec(value);
  if (match === null) return void 0;
  const bytes = Math.floor(Number(match[1]) * BYTES[match[2].toLowerCase()]);
  return Number.isFinite(bytes) ? bytes : void 0;
}

// ../kit/src/options.ts
function defineOptions(pkg, owner, checks, defaults = {}) {
  const code = `ERR_${pkg.toUpperCase()}_OPTION`;
  const names = Object.keys(checks);
  return (given = {}) => {
    if (typeof given !== "object" || given === null || Array.isArray(given)) {
      throw misuse(TypeError, code, `${owner} options must be an object, not ${show(given)}`);
    }
    for (const name of Object.keys(given)) {
      if (!Object.hasOwn(checks, name)) {
        throw misuse(TypeError, code, `${owner} has no option "${name}"${suggestion(name, names)}`);
      }
    }
    const resolved = {};
    for (const name of names) {
      const check = checks[name];
      const own = given[name];
      const value = own === void 0 ? defaults[name] : own;
      if (value === void 0 && check.optional) continue;
      resolved[name] = check(value, { owner, name, code });
    }
    return Object.freeze(resolved);
  };
}
function refuse(errorClass, place, allowed, value) {
  throw misuse(
    errorClass,
    place.code,
    `${place.owner} option "${place.name}" must be ${allowed}, not ${show(value)}`
  );
}
function number({ min = -Infinity, max = Infinity } = {}) {
  return ranged("a number", min, max, (value) => Number.isFinite(value));
}
function integer({ min = -Infinity, max = Infinity } = {}) {
  return ranged("an integer", min, max, (value) => Number.isSafeInteger(value));
}
function ranged(noun, min, max, fits) {
  const allowed = `${noun}${between(min, max)}`;
  return (value, place) => {
    if (typeof value !== "number" || Number.isNaN(value)) refuse(TypeError, place, allowed, value);
    if (!fits(value) || value < min || value > max) refuse(RangeError, place, allowed, value);
    return value;
  };
}
function duration({ min = 0, max = Infinity } = {}) {
  const allowed = `a duration (milliseconds, or a string like '250ms', '30s', '15m', '1h', '7d')${between(min, max, " ms")}`;
  return (value, place) => {
    if (typeof value !== "number" && typeof value !== "string") refuse(TypeError, place, allowed, value);
    const milliseconds = durationMs(value);
    if (milliseconds === void 0)
      refuse(typeof value === "number" ? RangeError : TypeError, place, allowed, value);
    if (milliseconds < min || milliseconds > max) refuse(RangeError, place, allowed, value);
    return milliseconds;
  };
}
function size({ min = 0, max = Infinity } = {}) {
  const allowed = `a size (bytes, or a string like '512kb', '64mb', '2gb')${between(min, max, " bytes")}`;
  return (value, place) => {
    if (typeof value !== "number" && typeof value !== "string") refuse(TypeError, place, allowed, value);
    const bytes = sizeBytes(value);
    if (bytes === void 0) refuse(typeof value === "number" ? RangeError : TypeError, place, allowed, value);
    if (bytes < min || bytes > max) refuse(RangeError, place, allowed, value);
    return bytes;
  };
}
var boolean = (value, place) => {
  if (typeof value !== "boolean") refuse(TypeError, place, "true or false", value);
  return value;
};
function string({ pattern, like } = {}) {
  return (value, place) => {
    if (typeof value !== "string" || value === "") refuse(TypeError, place, "a non-empty string", value);
    if (pattern && !pattern.test(value))
      refuse(RangeError, place, like ?? `a string matching ${pattern}`, value);
    return value;
  };
}
function func() {
  return (value, place) => {
    if (typeof value !== "function") refuse(TypeError, place, "a function", value);
    return value;
  };
}
function oneOf(...values) {
  const allowed = values.map(show).join(" or ");
  return (value, place) => {
    if (!values.includes(value)) refuse(TypeError, place, allowed, value);
    return value;
  };
}
function having(what, ...methods) {
  return (value, place) => {
    const candidate = value;
    const isObject = typeof value === "object" && value !== null || typeof value === "function";
    const missing = isObject && methods.find((method) => typeof candidate?.[method] !== "function");
    if (!isObject || missing) {
      refuse(
        TypeError,
        place,
        methods.length === 0 ? what : `${what} with ${methods.map((m) => `${m}()`).join(", ")}`,
        value
      );
    }
    return value;
  };
}
function list(check, { min = 0 } = {}) {
  return (value, place) => {
    if (!Array.isArray(value)) refuse(TypeError, place, "an array", value);
    if (value.length < min) refuse(RangeError, place, `an array of at least ${min}`, value);
    return Object.freeze(value.map((item, i) => check(item, { ...place, name: `${place.name}[${i}]` })));
  };
}
function nested(checks, defaults = {}) {
  return (value, place) => {
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      refuse(TypeError, place, "an object", value);
    }
    const pkg = place.code.slice("ERR_".length, -"_OPTION".length);
    return defineOptions(pkg, `${place.owner} option "${place.name}"`, checks, defaults)(value);
  };
}
function optional(check) {
  const lenient = (value, place) => value === void 0 ? void 0 : check(value, place);
  return Object.assign(lenient, { optional: true });
}
function orFalse(check) {
  return either(oneOf(false), check);
}
function either(first, second) {
  return (value, place) => {
    try {
      return first(value, place);
    } catch (firstError) {
      try {
        return second(value, place);
      } catch (secondError) {
        const allowed = [allowedAt(place, firstError), allowedAt(place, secondError)];
        if (allowed[1] === void 0) throw secondError;
        if (allowed[0] === void 0) throw firstError;
        refuse(secondError instanceof RangeError ? RangeError : TypeError, place, allowed.join(" or "), value);
      }
    }
  };
}
function allowedAt({ owner, name }, error) {
  const { message } = error;
  const head = `${owner} option "${name}" must be `;
  return message.startsWith(head) ? message.slice(head.length, message.lastIndexOf(", not ")) : void 0;
}
function between(min, max, unit = "") {
  if (min === -Infinity && max === Infinity) return "";
  if (max === Infinity) return ` >= ${min}${unit}`;
  if (min === -Infinity) return ` <= ${max}${unit}`;
  return ` from ${min} to ${max}${unit}`;
}
function show(value) {
  if (typeof value === "string") return `'${value.length > 60 ? `${value.slice(0, 57)}...` : value}'`;
  if (typeof value === "function") return "a function";
  if (typeof value === "bigint") return `${value}n`;
  if (Array.isArray(value)) return "an array";
  if (typeof value === "object" && value !== null) return "an object";
  return String(value);
}
function suggestion(name, known) {
  let nearest = "";
  let least = Math.max(2, Math.floor(name.length / 3)) + 1;
  for (const candidate of known) {
    const distance = editDistance(name.toLowerCase(), candidate.toLowerCase());
    if (distance < least) {
      least = distance;
      nearest = candidate;
    }
  }
  return nearest === "" ? `; it has ${known.join(", ")}` : `; did you mean "${nearest}"?`;
}
function editDistance(a, b) {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const substitution = row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(substitution, row[j] + 1, next[j - 1] + 1));
    }
    row = next;
  }
  return row[b.length];
}

// ../kit/src/timeout-queue.ts
var TimeoutQueue = class {
  #list = new LinkedList();
  /**
   * The last one that ended. With it its classes stay alive, since V8 drops what it has compiled for a class that has no
   * instance at a collection.
   */
  // biome-ignore lint/correctness/noUnusedPrivateClassMembers: it is there to be there
  #kept;
  #patience;
  #late;
  #timer;
  /**
   * @param patience milliseconds
   * @param late told of each that has waited too long; it may {@link end} it, else that is done afterwards
   */
  constructor(patience, late) {
    this.#patience = patience;
    this.#late = late;
  }
  /** How many wait. */
  get size() {
    return this.#list.size;
  }
  /** Begins the waiting. The timer keeps the process alive as long as somebody waits: a server that hangs must not end it in silence. */
  add(item) {
    this.#list.add(item);
    if (this.#timer === void 0) this.#timer = setTimeout(this.#look, this.#patience);
    else if (this.#list.size === 1) this.#timer.ref();
  }
  /** Ends the waiting; tells whether it still waited. */
  end(item) {
    if (!this.#list.delete(item)) return false;
    this.#kept = item;
    if (this.#list.size === 0) this.#timer?.unref();
    return true;
  }
  /** Nothing waits any more; returns what did. */
  drain() {
    const waiting = [...this.#list];
    for (const item of waiting) this.end(item);
    clearTimeout(this.#timer);
    this.#timer = void 0;
    return waiting;
  }
  // After a pause of this process its timers fire before it reads what came meanwhile: read once more, then judge.
  #look = () => setImmediate(this.#judge);
  #judge = () => {
    this.#timer = void 0;
    const now = performance.now();
    for (let item = this.#list.first; item !== void 0; item = this.#list.first) {
      const left = item.since + this.#patience - now;
      if (left > 0) {
        clearTimeout(this.#timer);
        this.#timer = setTimeout(this.#look, Math.ceil(left));
        return;
      }
      this.#late(item);
      this.end(item);
    }
  };
};

// src/errors.ts
var LoadTimeoutError = class extends Error {
  code = "ERR_CACHE_LOAD_TIMEOUT";
  /** Milliseconds the loader was given. */
  timeout;
  constructor(timeout) {
    super(`The loader did not settle within ${timeout} ms`);
    this.timeout = timeout;
  }
};
brand(LoadTimeoutError, "LoadTimeoutError");
var ReentrantLoadError = class extends Error {
  code = "ERR_CACHE_REENTRANT";
  chain;
  constructor(chain) {
    super(`A loader waits for itself: ${chain.join(" -> ")}`);
    this.chain = chain;
  }
};
brand(ReentrantLoadError, "ReentrantLoadError");
var UncacheableValueError = class extends TypeError {
  code = "ERR_CACHE_VALUE";
  constructor(reason, cause) {
    super(`The value cannot be cached: ${reason}`, cause === void 0 ? void 0 : { cause });
  }
};
brand(UncacheableValueError, "UncacheableValueError");
var StoreUnavailableError = class extends Error {
  code = "ERR_CACHE_STORE";
  constructor(reason) {
    super(`The cache store is unavailable: ${reason}`);
  }
};
brand(StoreUnavailableError, "StoreUnavailableError");
var CacheClosedError = class extends Error {
  code = "ERR_CACHE_CLOSED";
  constructor() {
    super("The cache is closed");
  }
};
brand(CacheClosedError, "CacheClosedError");

// src/channels.ts
var channels = {
  hit: channel("spillway:cache:hit"),
  miss: channel("spillway:cache:miss"),
  load: channel(
    "spillway:cache:load"
  ),
  stale: channel(
    "spillway:cache:stale"
  ),
  lease: channel("spillway:cache:lease"),
  invalidate: channel(
    "spillway:cache:invalidate"
  ),
  breaker: channel("spillway:cache:breaker"),
  gap: channel("spillway:cache:gap"),
  reject: channel("spillway:cache:reject"),
  fault: channel("spillway:cache:fault")
};

// src/key.ts
var OWN = /* @__PURE__ */ Symbol.for("spillway.cache.key");
var MARK = "";
function encodeKey(key) {
  if (typeof key === "string") return key.charCodeAt(0) === 1 ? MARK + encodePart(key) : key;
  if (Array.isArray(key)) return `${MARK}[${key.map(encodePart).join(",")}`;
  if (isOwn(key)) return key[OWN];
  return MARK + encodePart(key);
}
function ownKey(text) {
  return { [OWN]: `${MARK}s${text}` };
}
function isOwn(key) {
  return typeof key === "object" && key !== null && OWN in key;
}
function encodePart(part) {
  switch (typeof part) {
    case "string":
      return JSON.stringify(part);
    case "number":
      if (Number.isNaN(part)) break;
      return Object.is(part, -0) ? "0" : String(part);
    case "bigint":
      return `${part}n`;
    case "boolean":
      return String(part);
    default:
      if (part === null) return "null";
  }
  throw misuse(
    TypeError,
    "ERR_CACHE_KEY",
    `A cache key must be a string, a number, a bigint or an array of those, booleans and null, not ${String(part)}`
  );
}
var LONGEST = 200;
function shortName(text) {
  if (text.length <= LONGEST && !text.startsWith("#")) return text;
  return `#${node_crypto.createHash("sha256").update(text).digest("base64url")}`;
}

exports.CacheClosedError = CacheClosedError;
exports.LinkedList = LinkedList;
exports.LoadTimeoutError = LoadTimeoutError;
exports.MAX_TIMER = MAX_TIMER;
exports.ReentrantLoadError = ReentrantLoadError;
exports.StoreUnavailableError = StoreUnavailableError;
exports.TimeoutQueue = TimeoutQueue;
exports.UncacheableValueError = UncacheableValueError;
exports.boolean = boolean;
exports.caller = caller;
exports.callerOf = callerOf;
exports.channels = channels;
exports.closeOnce = closeOnce;
exports.defineOptions = defineOptions;
exports.drainWithin = drainWithin;
exports.duration = duration;
exports.durationMs = durationMs;
exports.encodeKey = encodeKey;
exports.func = func;
exports.having = having;
exports.integer = integer;
exports.list = list;
exports.misuse = misuse;
exports.nested = nested;
exports.number = number;
exports.offAbort = offAbort;
exports.onAbort = onAbort;
exports.oneOf = oneOf;
exports.optional = optional;
exports.orFalse = orFalse;
exports.ownKey = ownKey;
exports.refuse = refuse;
exports.shortName = shortName;
exports.size = size;
exports.sleep = sleep;
exports.string = string;
exports.wallClock = wallClock;
