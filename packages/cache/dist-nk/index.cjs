'use strict';

var chunkEC4YPOZN_cjs = require('./chunk-EC4YPOZN.cjs');
var node_async_hooks = require('node:async_hooks');
var node_crypto = require('node:crypto');
var lruCache = require('lru-cache');
var node_zlib = require('node:zlib');
var node_net = require('node:net');

// ../../node_modules/.pnpm/devalue@6.0.3/node_modules/devalue/src/constants.js
var UNDEFINED = -1;
var HOLE = -2;
var NAN = -3;
var POSITIVE_INFINITY = -4;
var NEGATIVE_INFINITY = -5;
var NEGATIVE_ZERO = -6;
var SPARSE = -7;
var MAX_ARRAY_LEN = 2 ** 32 - 1;
var MAX_ARRAY_INDEX = MAX_ARRAY_LEN - 1;

// ../../node_modules/.pnpm/devalue@6.0.3/node_modules/devalue/src/utils.js
var DevalueError = class extends Error {
  /**
   * @param {string} message
   * @param {string[]} keys
   * @param {any} [value] - The value that failed to be serialized
   * @param {any} [root] - The root value being serialized
   */
  constructor(message, keys, value, root) {
    super(message);
    this.name = "DevalueError";
    this.path = keys.join("");
    this.value = value;
    this.root = root;
  }
};
var MAP_KEY = /* @__PURE__ */ Symbol();
function format_path(keys, format_map_key) {
  const path2 = [];
  for (let i = 0; i < keys.length; i += 1) {
    const segment = keys[i];
    if (segment === MAP_KEY) {
      path2.push(`.get(${format_map_key(keys[++i])})`);
    } else if (typeof segment === "number") {
      path2.push(`[${segment}]`);
    } else {
      path2.push(stringify_key(segment));
    }
  }
  return path2;
}
var object_proto_names = /* @__PURE__ */ Object.getOwnPropertyNames(Object.prototype).sort().join("\0");
function is_plain_object(thing) {
  const proto = Object.getPrototypeOf(thing);
  return proto === Object.prototype || proto === null || Object.getPrototypeOf(proto) === null || Object.getOwnPropertyNames(proto).sort().join("\0") === object_proto_names;
}
function get_type(thing) {
  return Object.prototype.toString.call(thing).slice(8, -1);
}
function is_buffer(thing) {
  return typeof Buffer !== "undefined" && Buffer.isBuffer(thing);
}
var needs_escape = /["<\\\u0000-\u001f\u2028\u2029]/;
var json_leaves_raw = /[<\u2028\u2029]/g;
var raw_escapes = { "<": "\\u003C", "\u2028": "\\u2028", "\u2029": "\\u2029" };
function escape_raw(char) {
  return raw_escapes[char];
}
function stringify_string(str) {
  if (!needs_escape.test(str) && str.isWellFormed()) return `"${str}"`;
  return JSON.stringify(str).replace(json_leaves_raw, escape_raw);
}
var MAX_CACHED_KEY_LENGTH = 64;
var quoted_keys = /* @__PURE__ */ new Map();
function quote_key(key) {
  if (key.length > MAX_CACHED_KEY_LENGTH) return stringify_string(key);
  let quoted = quoted_keys.get(key);
  if (quoted === void 0) {
    if (quoted_keys.size >= 1024) quoted_keys.clear();
    quoted = stringify_string(key);
    quoted_keys.set(key, quoted);
  }
  return quoted;
}
function enumerable_symbols(object) {
  const symbols = Object.getOwnPropertySymbols(object);
  return symbols.length === 0 ? symbols : symbols.filter((symbol) => Object.getOwnPropertyDescriptor(object, symbol)?.enumerable);
}
var is_identifier = /^[a-zA-Z_$][a-zA-Z_$0-9]*$/;
function stringify_key(key) {
  return is_identifier.test(key) ? "." + key : "[" + JSON.stringify(key) + "]";
}
function is_valid_array_index(n) {
  if (!Number.isInteger(n)) return false;
  if (n < 0) return false;
  if (n > MAX_ARRAY_INDEX) return false;
  return true;
}
function is_valid_array_len(n) {
  if (!Number.isInteger(n)) return false;
  if (n < 0) return false;
  if (n > MAX_ARRAY_LEN) return false;
  return true;
}
function is_valid_array_index_string(s) {
  if (s.length === 0) return false;
  if (s.length > 1 && s.charCodeAt(0) === 48) return false;
  for (let i = 0; i < s.length; i++) {
    const c = s.charCodeAt(i);
    if (c < 48 || c > 57) return false;
  }
  return is_valid_array_index(+s);
}
function array_index_cut(keys) {
  for (var i = keys.length - 1; i >= 0; i--) {
    if (is_valid_array_index_string(keys[i])) {
      break;
    }
  }
  return i + 1;
}
function valid_array_indices(array) {
  const keys = Object.keys(array);
  keys.length = array_index_cut(keys);
  return keys;
}

// ../../node_modules/.pnpm/devalue@6.0.3/node_modules/devalue/src/base64.js
function encode_native(array_buffer) {
  return new Uint8Array(array_buffer).toBase64();
}
function decode_native(base64) {
  return Uint8Array.fromBase64(base64).buffer;
}
function encode_buffer(array_buffer) {
  return Buffer.from(array_buffer).toString("base64");
}
function decode_buffer(base64) {
  return Uint8Array.from(Buffer.from(base64, "base64")).buffer;
}
function encode_legacy(array_buffer) {
  const array = new Uint8Array(array_buffer);
  let binary = "";
  const chunk_size = 32768;
  for (let i = 0; i < array.length; i += chunk_size) {
    const chunk = array.subarray(i, i + chunk_size);
    binary += String.fromCharCode.apply(
      null,
      /** @type {number[]} */
      /** @type {unknown} */
      chunk
    );
  }
  return btoa(binary);
}
function decode_legacy(base64) {
  const binary_string = atob(base64);
  const len = binary_string.length;
  const array = new Uint8Array(len);
  for (let i = 0; i < len; i++) {
    array[i] = binary_string.charCodeAt(i);
  }
  return array.buffer;
}
var native = typeof Uint8Array.fromBase64 === "function";
var buffer = typeof process === "object" && process.versions?.node !== void 0;
var encode64 = native ? encode_native : buffer ? encode_buffer : encode_legacy;
var decode64 = native ? decode_native : buffer ? decode_buffer : decode_legacy;

// ../../node_modules/.pnpm/devalue@6.0.3/node_modules/devalue/src/operations.js
function merge_operations(defaults, overrides) {
  return defaults;
}
var NOT_PLAIN = /* @__PURE__ */ Object.freeze({ kind: "not-plain" });
var SYMBOL_KEYS = /* @__PURE__ */ Object.freeze({ kind: "symbol-keys" });
var stringify_operations = {
  identify: (value) => value,
  typeOf: (value) => value === null ? "null" : typeof value,
  toPrimitive: (value) => value,
  tagOf: (value) => get_type(value),
  isThenable: (value) => typeof value.then === "function",
  toPromise: (thenable) => Promise.resolve(thenable),
  unbox: (boxed) => boxed.valueOf(),
  toISOString: (date) => isNaN(date.getDate()) ? "" : date.toISOString(),
  toStringValue: (value) => value.toString(),
  regExpInfo: (regexp) => ({ source: regexp.source, flags: regexp.flags }),
  valuesOf: (set) => set,
  entriesOf: (map) => map,
  viewInfo: (view) => {
    if (is_buffer(view)) view = new Uint8Array(view);
    return {
      buffer: view.buffer,
      byteOffset: view.byteOffset,
      byteLength: view.byteLength,
      length: view.length,
      bufferByteLength: view.buffer.byteLength
    };
  },
  toArrayBuffer: (buffer2) => buffer2,
  lengthOf: (array) => array.length,
  hasOwn: (value, key) => Object.hasOwn(value, key),
  indicesOf: (array) => valid_array_indices(array),
  shapeOf: (value) => {
    if (!is_plain_object(value)) return NOT_PLAIN;
    if (enumerable_symbols(value).length > 0) return SYMBOL_KEYS;
    return {
      kind: Object.getPrototypeOf(value) === null ? "null-proto" : "plain",
      keys: Object.keys(value)
    };
  },
  get: (value, key) => value[key]
};
var default_stringify_operations = /* @__PURE__ */ Object.freeze(stringify_operations);
var array_buffer_byte_length = (
  /** @type {() => number} */
  Object.getOwnPropertyDescriptor(ArrayBuffer.prototype, "byteLength")?.get
);
var shared_array_buffer_byte_length = typeof SharedArrayBuffer === "undefined" ? void 0 : Object.getOwnPropertyDescriptor(SharedArrayBuffer.prototype, "byteLength")?.get;
var parse_operations = {
  fromPrimitive: (primitive) => primitive,
  fromISOString: (iso) => new Date(iso),
  fromStringValue: (tag, text) => {
    if (tag === "URL") return new URL(text);
    if (tag === "URLSearchParams") return new URLSearchParams(text);
    return Temporal[tag.slice(9)].from(text);
  },
  fromArrayBuffer: (buffer2) => buffer2,
  fromRegExpInfo: (source, flags) => new RegExp(source, flags),
  fromViewInfo: (tag, buffer2, byteOffset, length) => {
    try {
      array_buffer_byte_length.call(buffer2);
    } catch (error) {
      if (!shared_array_buffer_byte_length) throw error;
      shared_array_buffer_byte_length.call(buffer2);
    }
    const Constructor = (
      /** @type {any} */
      globalThis[tag]
    );
    return byteOffset !== void 0 ? new Constructor(buffer2, byteOffset, length) : new Constructor(buffer2);
  },
  box: (value) => Object(value),
  createArray: (length) => new Array(length),
  createSparseArray: (length) => {
    const array = [];
    array[MAX_ARRAY_INDEX] = void 0;
    delete array[MAX_ARRAY_INDEX];
    array.length = length;
    return array;
  },
  createObject: () => ({}),
  createNullPrototypeObject: () => /* @__PURE__ */ Object.create(null),
  createSet: () => /* @__PURE__ */ new Set(),
  createMap: () => /* @__PURE__ */ new Map(),
  set: (target, key, value) => {
    target[key] = value;
  },
  addValue: (set, value) => {
    set.add(value);
  },
  addEntry: (map, key, value) => {
    map.set(key, value);
  }
};
var default_parse_operations = /* @__PURE__ */ Object.freeze(parse_operations);

// ../../node_modules/.pnpm/devalue@6.0.3/node_modules/devalue/src/parse.js
function invalid() {
  throw new Error("Invalid input");
}
function parse(serialized, revivers, options) {
  return unflatten(JSON.parse(serialized), revivers);
}
function unflatten(parsed, revivers, options) {
  const ops = merge_operations(default_parse_operations);
  if (typeof parsed === "number") return hydrate(parsed, true);
  if (!Array.isArray(parsed) || parsed.length === 0) {
    invalid();
  }
  const values = (
    /** @type {any[]} */
    parsed
  );
  const hydrated = Array(values.length);
  let hydrating = null;
  function get_raw(index) {
    if (!is_valid_array_index(index) || index >= values.length) {
      invalid();
    }
    return values[index];
  }
  function hydrate(index, standalone = false) {
    if (index === UNDEFINED) return ops.fromPrimitive(void 0);
    if (index === NAN) return ops.fromPrimitive(NaN);
    if (index === POSITIVE_INFINITY) return ops.fromPrimitive(Infinity);
    if (index === NEGATIVE_INFINITY) return ops.fromPrimitive(-Infinity);
    if (index === NEGATIVE_ZERO) return ops.fromPrimitive(-0);
    if (standalone || typeof index !== "number") {
      invalid();
    }
    if (index in hydrated) return hydrated[index];
    if (index >= values.length) {
      invalid();
    }
    const value = values[index];
    if (!value || typeof value !== "object") {
      hydrated[index] = ops.fromPrimitive(value);
    } else if (Array.isArray(value)) {
      if (typeof value[0] === "string") {
        const type = value[0];
        const reviver = revivers && Object.hasOwn(revivers, type) ? revivers[type] : void 0;
        if (reviver) {
          let i = value[1];
          if (typeof i !== "number") {
            i = values.push(value[1]) - 1;
          }
          if (Object.hasOwn(hydrated, i)) {
            return hydrated[index] = reviver(hydrated[i]);
          }
          hydrating ??= /* @__PURE__ */ new Set();
          if (hydrating.has(i)) {
            throw new Error("Invalid circular reference");
          }
          hydrating.add(i);
          hydrated[index] = reviver(hydrate(i));
          hydrating.delete(i);
          return hydrated[index];
        }
        switch (type) {
          case "Date":
            hydrated[index] = ops.fromISOString(value[1]);
            break;
          case "Set":
            const set = ops.createSet();
            hydrated[index] = set;
            for (let i = 1; i < value.length; i += 1) {
              ops.addValue(set, hydrate(value[i]));
            }
            break;
          case "Map":
            const map = ops.createMap();
            hydrated[index] = map;
            for (let i = 1; i < value.length; i += 2) {
              ops.addEntry(map, hydrate(value[i]), hydrate(value[i + 1]));
            }
            break;
          case "RegExp":
            hydrated[index] = ops.fromRegExpInfo(value[1], value[2]);
            break;
          case "Object": {
            const wrapped_index = value[1];
            const is_boxable_sentinel = wrapped_index === NAN || wrapped_index === POSITIVE_INFINITY || wrapped_index === NEGATIVE_INFINITY || wrapped_index === NEGATIVE_ZERO;
            if (!is_boxable_sentinel) {
              const wrapped = get_raw(wrapped_index);
              const is_bigint = Array.isArray(wrapped) && wrapped[0] === "BigInt";
              if ((wrapped === void 0 || typeof wrapped === "object") && !is_bigint) {
                invalid();
              }
            }
            hydrated[index] = ops.box(hydrate(wrapped_index));
            break;
          }
          case "BigInt":
            hydrated[index] = ops.fromPrimitive(BigInt(value[1]));
            break;
          case "null":
            const obj = ops.createNullPrototypeObject();
            hydrated[index] = obj;
            for (let i = 1; i < value.length; i += 2) {
              const key = value[i];
              if (typeof key !== "string") {
                throw new Error("Cannot parse an object with a non-string key");
              }
              if (key === "__proto__") {
                throw new Error("Cannot parse an object with a `__proto__` property");
              }
              ops.set(obj, key, hydrate(value[i + 1]));
            }
            break;
          case "Int8Array":
          case "Uint8Array":
          case "Uint8ClampedArray":
          case "Int16Array":
          case "Uint16Array":
          case "Float16Array":
          case "Int32Array":
          case "Uint32Array":
          case "Float32Array":
          case "Float64Array":
          case "BigInt64Array":
          case "BigUint64Array":
          case "DataView": {
            const buffer_index = value[1];
            const raw = get_raw(buffer_index);
            if (!Array.isArray(raw) || raw[0] !== "ArrayBuffer") {
              invalid();
            }
            const buffer2 = hydrate(buffer_index);
            hydrated[index] = ops.fromViewInfo(type, buffer2, value[2], value[3]);
            break;
          }
          case "ArrayBuffer": {
            const base64 = value[1];
            if (typeof base64 !== "string") {
              throw new Error("Invalid ArrayBuffer encoding");
            }
            hydrated[index] = ops.fromArrayBuffer(decode64(base64));
            break;
          }
          case "URL":
          case "URLSearchParams":
          case "Temporal.Duration":
          case "Temporal.Instant":
          case "Temporal.PlainDate":
          case "Temporal.PlainTime":
          case "Temporal.PlainDateTime":
          case "Temporal.PlainMonthDay":
          case "Temporal.PlainYearMonth":
          case "Temporal.ZonedDateTime": {
            hydrated[index] = ops.fromStringValue(type, value[1]);
            break;
          }
          default:
            throw new Error(`Unknown type ${type}`);
        }
      } else if (value[0] === SPARSE) {
        const len = value[1];
        if (!is_valid_array_len(len)) {
          invalid();
        }
        const array = ops.createSparseArray(len);
        hydrated[index] = array;
        for (let i = 2; i < value.length; i += 2) {
          const idx = value[i];
          if (!is_valid_array_index(idx) || idx >= len) {
            invalid();
          }
          ops.set(array, idx, hydrate(value[i + 1]));
        }
      } else {
        const array = ops.createArray(value.length);
        hydrated[index] = array;
        for (let i = 0; i < value.length; i += 1) {
          const n = value[i];
          if (n === HOLE) continue;
          ops.set(array, i, hydrate(n));
        }
      }
    } else {
      const object = ops.createObject();
      hydrated[index] = object;
      for (const key of Object.keys(value)) {
        if (key === "__proto__") {
          throw new Error("Cannot parse an object with a `__proto__` property");
        }
        ops.set(object, key, hydrate(value[key]));
      }
    }
    return hydrated[index];
  }
  return hydrate(0);
}

// ../../node_modules/.pnpm/devalue@6.0.3/node_modules/devalue/src/stringify.js
function stringify(value, reducers, options) {
  const stringified = run(false, value, reducers);
  return typeof stringified === "string" ? stringified : `[${stringified.join(",")}]`;
}
function run(async, value, reducers, options) {
  const ops = merge_operations(default_stringify_operations);
  const stringified = [];
  const indexes = /* @__PURE__ */ new Map();
  const custom = [];
  if (reducers) {
    for (const key of Object.getOwnPropertyNames(reducers)) {
      custom.push({ key, fn: reducers[key] });
    }
  }
  let keys = [];
  let p = 0;
  function error(message, thing) {
    const path2 = format_path(keys, (key) => {
      const key_type = ops.typeOf(key);
      const key_is_primitive = key_type !== "object" && key_type !== "function" && key_type !== "symbol";
      return key_is_primitive ? stringify_primitive(ops.toPrimitive(key)) : "...";
    });
    throw new DevalueError(message, path2, thing, value);
  }
  function flatten(thing, index2) {
    const type = ops.typeOf(thing);
    if (type === "undefined") return UNDEFINED;
    let number2;
    if (type === "number") {
      number2 = /** @type {number} */
      ops.toPrimitive(thing);
      if (Number.isNaN(number2)) return NAN;
      if (number2 === Infinity) return POSITIVE_INFINITY;
      if (number2 === -Infinity) return NEGATIVE_INFINITY;
      if (number2 === 0 && 1 / number2 < 0) return NEGATIVE_ZERO;
    }
    const id = ops.identify(thing);
    if (indexes.has(id)) return (
      /** @type {number} */
      indexes.get(id)
    );
    index2 ??= p++;
    indexes.set(id, index2);
    for (const { key, fn } of custom) {
      const value2 = fn(thing);
      if (value2) {
        stringified[index2] = `["${key}",${flatten(value2)}]`;
        return index2;
      }
    }
    if (type === "function") {
      error(`Cannot stringify a function`, thing);
    } else if (type === "symbol") {
      error(`Cannot stringify a Symbol primitive`, thing);
    }
    let str = "";
    if (type !== "object") {
      str = stringify_primitive(type === "number" ? number2 : ops.toPrimitive(thing));
    } else if (ops.isThenable(thing)) {
      {
        error(`Cannot stringify a Promise or thenable \u2014 use stringifyAsync instead`, thing);
      }
      const prev_keys = keys.slice();
      str = ops.toPromise(thing).then((value2) => {
        keys = prev_keys;
        const i = flatten(value2, index2);
        if (i < 0) stringified[index2] = i;
      });
      str.catch(() => {
      });
    } else {
      const tag = ops.tagOf(thing);
      switch (tag) {
        case "Number":
        case "String":
        case "Boolean":
        case "BigInt":
          str = `["Object",${flatten(ops.unbox(thing))}]`;
          break;
        case "Date":
          str = `["Date","${ops.toISOString(thing)}"]`;
          break;
        case "URL":
          str = `["URL",${stringify_string(ops.toStringValue(thing))}]`;
          break;
        case "URLSearchParams":
          str = `["URLSearchParams",${stringify_string(ops.toStringValue(thing))}]`;
          break;
        case "RegExp":
          const { source, flags } = ops.regExpInfo(thing);
          str = flags ? `["RegExp",${stringify_string(source)},"${flags}"]` : `["RegExp",${stringify_string(source)}]`;
          break;
        case "Array": {
          let mostly_dense = false;
          const length = ops.lengthOf(thing);
          str = "[";
          for (let i = 0; i < length; i += 1) {
            if (i > 0) str += ",";
            if (ops.hasOwn(thing, i)) {
              keys.push(i);
              str += flatten(ops.get(thing, i));
              keys.pop();
            } else if (mostly_dense) {
              str += HOLE;
            } else {
              const populated_keys = ops.indicesOf(thing);
              const population = populated_keys.length;
              const d = String(length).length;
              const hole_cost = (length - population) * 3;
              const sparse_cost = 4 + d + population * (d + 1);
              if (hole_cost > sparse_cost) {
                str = "[" + SPARSE + "," + length;
                for (let j = 0; j < populated_keys.length; j++) {
                  const key = populated_keys[j];
                  keys.push(+key);
                  str += "," + key + "," + flatten(ops.get(thing, key));
                  keys.pop();
                }
                break;
              } else {
                mostly_dense = true;
                str += HOLE;
              }
            }
          }
          str += "]";
          break;
        }
        case "Set":
          str = '["Set"';
          for (const value2 of ops.valuesOf(thing)) {
            str += `,${flatten(value2)}`;
          }
          str += "]";
          break;
        case "Map":
          str = '["Map"';
          for (const [key, value2] of ops.entriesOf(thing)) {
            keys.push(MAP_KEY, key);
            str += `,${flatten(key)},${flatten(value2)}`;
            keys.pop();
            keys.pop();
          }
          str += "]";
          break;
        case "Int8Array":
        case "Uint8Array":
        case "Uint8ClampedArray":
        case "Int16Array":
        case "Uint16Array":
        case "Float16Array":
        case "Int32Array":
        case "Uint32Array":
        case "Float32Array":
        case "Float64Array":
        case "BigInt64Array":
        case "BigUint64Array": {
          const info = ops.viewInfo(thing);
          str = '["' + tag + '",' + flatten(info.buffer);
          if (info.byteLength !== info.bufferByteLength) {
            str += `,${info.byteOffset},${info.length}`;
          }
          str += "]";
          break;
        }
        case "DataView": {
          const info = ops.viewInfo(thing);
          str = '["' + tag + '",' + flatten(info.buffer);
          if (info.byteLength !== info.bufferByteLength) {
            str += `,${info.byteOffset},${info.byteLength}`;
          }
          str += "]";
          break;
        }
        case "ArrayBuffer": {
          const base64 = encode64(ops.toArrayBuffer(thing));
          str = `["ArrayBuffer","${base64}"]`;
          break;
        }
        case "Temporal.Duration":
        case "Temporal.Instant":
        case "Temporal.PlainDate":
        case "Temporal.PlainTime":
        case "Temporal.PlainDateTime":
        case "Temporal.PlainMonthDay":
        case "Temporal.PlainYearMonth":
        case "Temporal.ZonedDateTime":
          str = `["${tag}",${stringify_string(ops.toStringValue(thing))}]`;
          break;
        default: {
          const shape = ops.shapeOf(thing);
          if (shape.kind === "not-plain") {
            error(`Cannot stringify arbitrary non-POJOs`, thing);
          }
          if (shape.kind === "symbol-keys") {
            error(`Cannot stringify POJOs with symbolic keys`, thing);
          }
          if (shape.kind === "null-proto") {
            str = '["null"';
            for (const key of shape.keys) {
              if (key === "__proto__") {
                error(`Cannot stringify objects with __proto__ keys`, thing);
              }
              keys.push(key);
              str += `,${quote_key(key)},${flatten(ops.get(thing, key))}`;
              keys.pop();
            }
            str += "]";
          } else {
            str = "{";
            let started = false;
            for (const key of shape.keys) {
              if (key === "__proto__") {
                error(`Cannot stringify objects with __proto__ keys`, thing);
              }
              if (started) str += ",";
              started = true;
              keys.push(key);
              str += `${quote_key(key)}:${flatten(ops.get(thing, key))}`;
              keys.pop();
            }
            str += "}";
          }
        }
      }
    }
    stringified[index2] = str;
    return index2;
  }
  const index = flatten(value);
  if (index < 0) return `${index}`;
  return stringified;
}
function stringify_primitive(thing) {
  const type = typeof thing;
  if (type === "string") return stringify_string(thing);
  if (thing === void 0) return UNDEFINED.toString();
  if (thing === 0 && 1 / thing < 0) return NEGATIVE_ZERO.toString();
  if (type === "bigint") return `["BigInt","${thing}"]`;
  return String(thing);
}

// src/entry/sharing.ts
function deepFreeze(value) {
  if (typeof value === "object" && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const name in value) deepFreeze(value[name]);
  }
  return value;
}
function freezeNew(value) {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) for (let i = 0; i < value.length; i++) freezeNew(value[i]);
  else for (const name in value) freezeNew(value[name]);
  return Object.freeze(value);
}
function clonePlain(value) {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) {
    const list2 = value.slice();
    for (let i = 0; i < list2.length; i++) {
      if (typeof list2[i] === "object" && list2[i] !== null) list2[i] = clonePlain(list2[i]);
    }
    return list2;
  }
  const record = { ...value };
  for (const name in record) {
    const member = record[name];
    if (typeof member === "object" && member !== null) record[name] = clonePlain(member);
  }
  return record;
}
function deepClone(value) {
  return copy(value, /* @__PURE__ */ new Map(), Buffer.from);
}
function deepCloneToKeep(value) {
  return copy(value, /* @__PURE__ */ new Map(), copyBuffer);
}
function copy(value, done, bytesOf) {
  if (typeof value !== "object" || value === null) return value;
  const known = done.get(value);
  if (known !== void 0) return known;
  if (Buffer.isBuffer(value)) return remember(bytesOf(value));
  if (ArrayBuffer.isView(value)) return remember(copyView(value));
  if (Array.isArray(value)) {
    const list2 = remember(new Array(value.length));
    for (const index in value) list2[index] = copy(value[index], done, bytesOf);
    return list2;
  }
  if (value instanceof Map) {
    const map = remember(/* @__PURE__ */ new Map());
    for (const [key, item] of value) map.set(copy(key, done, bytesOf), copy(item, done, bytesOf));
    return map;
  }
  if (value instanceof Set) {
    const set = remember(/* @__PURE__ */ new Set());
    for (const item of value) set.add(copy(item, done, bytesOf));
    return set;
  }
  const prototype = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) {
    if (value instanceof ArrayBuffer) return remember(value.slice(0));
    if (value instanceof URL) return remember(new URL(value));
    if (value instanceof URLSearchParams) return remember(new URLSearchParams(value));
    return remember(structuredClone(value));
  }
  const record = remember(Object.create(prototype));
  for (const name in value) record[name] = copy(value[name], done, bytesOf);
  return record;
  function remember(clone) {
    done.set(value, clone);
    return clone;
  }
}
function copyView(view) {
  const own = new Uint8Array(new Uint8Array(view.buffer, view.byteOffset, view.byteLength));
  const kind = Object.prototype.toString.call(view).slice(8, -1);
  const Kind = Reflect.get(globalThis, kind);
  return new Kind(own.buffer);
}
function copyBuffer(buffer2) {
  const copy2 = Buffer.allocUnsafeSlow(buffer2.length);
  buffer2.copy(copy2);
  return copy2;
}

// src/entry/codec.ts
var JSON_CODEC = 0;
var RICH_CODEC = 1;
var BYTES_CODEC = 2;
var REDUCERS = { Buffer: (value) => Buffer.isBuffer(value) && [value.toString("base64")] };
var REVIVERS = Object.assign(/* @__PURE__ */ Object.create(null), {
  Buffer: (texts) => copyBuffer(Buffer.from(String(texts), "base64"))
});
function encode(value, { plain, loose }) {
  if (Buffer.isBuffer(value)) return { codec: BYTES_CODEC, payload: value };
  if (plain) return { codec: JSON_CODEC, payload: Buffer.from(JSON.stringify(value)) };
  try {
    const own = loose ? deepClone(value) : value;
    return { codec: RICH_CODEC, payload: Buffer.from(stringify(own, REDUCERS)) };
  } catch (error) {
    throw new chunkEC4YPOZN_cjs.UncacheableValueError(error instanceof Error ? error.message : String(error), error);
  }
}
function decode(codec, payload) {
  switch (codec) {
    case JSON_CODEC:
      return JSON.parse(payload.toString());
    case RICH_CODEC:
      return parse(payload.toString(), REVIVERS);
    case BYTES_CODEC:
      return copyBuffer(payload);
    default:
      throw new RangeError(`unknown codec ${codec}`);
  }
}

// src/entry/freshness.ts
var EARLY_SHARE = 0.2;
function earlyFrom({ created, freshUntil }) {
  return freshUntil - (freshUntil - created) * EARLY_SHARE;
}
function freshnessOf(times, { swr, staleIfError }, now, beta) {
  if (now < times.freshUntil) {
    if (beta === false || now < earlyFrom(times)) return "fresh";
    return now - times.loadMs * beta * Math.log(1 - Math.random()) >= times.freshUntil ? "early" : "fresh";
  }
  if (now >= times.staleUntil) return "dead";
  const late = now - times.freshUntil;
  if (swr !== false && late < swr && now < times.swrUntil) return "revalidate";
  return staleIfError !== false && late < staleIfError ? "failover" : "dead";
}
function timesOf(ttl, { swr, staleIfError }, now, jitter, loadMs) {
  const freshUntil = now + Math.max(1, ttl * (1 - jitter * Math.random()));
  const swrUntil = freshUntil + (swr || 0);
  return {
    created: now,
    freshUntil,
    swrUntil,
    staleUntil: Math.max(swrUntil, freshUntil + (staleIfError || 0)),
    loadMs
  };
}

// src/entry/held.ts
function hold(material, times, share) {
  const { value, shape, known } = material;
  const { plain, loose } = shape;
  const freeze = known ? deepFreeze : freezeNew;
  const copied = share === "clone" || share === "own" || share === "freeze" && !plain;
  return {
    value: share === "freeze" && plain ? freeze(value) : copied && (known || loose) && share !== "own" ? copyToKeep(value, plain) : value,
    plain,
    copied,
    own: share === "own",
    promise: void 0,
    bytes: share === "reference" ? shape.retained : shape.bytes,
    hotUntil: 0,
    verifyAt: 0,
    created: times.created,
    freshUntil: times.freshUntil,
    swrUntil: times.swrUntil,
    staleUntil: times.staleUntil,
    loadMs: times.loadMs,
    tags: material.tags,
    id: material.id,
    clock: material.clock
  };
}
function copyOf({ value, plain }) {
  return plain ? clonePlain(value) : deepClone(value);
}
function copyToKeep(value, plain) {
  return plain ? clonePlain(value) : deepCloneToKeep(value);
}
function handOut(held) {
  return held.copied ? copyOf(held) : held.value;
}
function handOver(held) {
  return held.own ? held.value : handOut(held);
}
function promiseOf(held) {
  if (held.copied) return Promise.resolve(copyOf(held));
  held.promise ??= Promise.resolve(held.value);
  return held.promise;
}

// src/entry/shape.ts
var RICH = /* @__PURE__ */ new Set(["Date", "Map", "Set", "RegExp", "ArrayBuffer", "DataView", "URL", "URLSearchParams"]);
var MAX_DEPTH = 256;
var Survey = class {
  plain = true;
  bytes = 0;
  excess = 0;
  loose = false;
  #seen = /* @__PURE__ */ new Set();
  visit(value, depth) {
    switch (typeof value) {
      case "string":
        this.bytes += 16 + value.length * 2;
        return;
      case "number":
        this.bytes += 8;
        if (!Number.isFinite(value) || Object.is(value, -0)) this.plain = false;
        return;
      case "boolean":
        this.bytes += 4;
        return;
      case "undefined":
      case "bigint":
        this.bytes += 16;
        this.plain = false;
        return;
      case "function":
      case "symbol":
        throw new chunkEC4YPOZN_cjs.UncacheableValueError(`it contains a ${typeof value}`);
    }
    if (value === null) this.bytes += 4;
    else this.#object(value, depth);
  }
  #object(value, depth) {
    this.bytes += 32;
    if (depth > MAX_DEPTH) this.plain = false;
    if (!this.plain) {
      if (this.#seen.has(value)) return;
      this.#seen.add(value);
    }
    if (Array.isArray(value)) {
      for (let i = 0; i < value.length; i++) {
        if (!(i in value)) this.plain = false;
        this.visit(value[i], depth + 1);
      }
      return;
    }
    if (ArrayBuffer.isView(value)) {
      this.plain = false;
      this.#view(value);
      return;
    }
    const prototype = Object.getPrototypeOf(value);
    if (prototype === Object.prototype || prototype === null) {
      this.#record(value, depth);
      return;
    }
    this.plain = false;
    this.#rich(value, depth);
  }
  /** Several views may share a buffer: a copy has the bytes of each, the value itself those of the buffer once. */
  #view({ buffer: buffer2, byteLength }) {
    this.bytes += byteLength;
    this.excess -= byteLength;
    if (!this.#seen.has(buffer2)) {
      this.#seen.add(buffer2);
      this.excess += buffer2.byteLength;
    }
    if (byteLength !== buffer2.byteLength || isShared(buffer2)) this.loose = true;
  }
  #record(value, depth) {
    if (typeof value.toJSON === "function") throw new chunkEC4YPOZN_cjs.UncacheableValueError("it contains a function");
    if (Object.getPrototypeOf(value) === null) this.plain = false;
    if (Object.getOwnPropertySymbols(value).length > 0)
      throw new chunkEC4YPOZN_cjs.UncacheableValueError("it has symbols as keys");
    for (const name in value) {
      if (name === "__proto__") throw new chunkEC4YPOZN_cjs.UncacheableValueError("it has a member named __proto__");
      this.bytes += 8 + name.length;
      this.visit(value[name], depth + 1);
    }
  }
  #rich(value, depth) {
    const kind = Object.prototype.toString.call(value).slice(8, -1);
    if (!RICH.has(kind)) {
      throw new chunkEC4YPOZN_cjs.UncacheableValueError(`it contains an instance of ${value.constructor?.name ?? kind}`);
    }
    if (value instanceof Map) {
      for (const [key, item] of value) {
        this.visit(key, depth + 1);
        this.visit(item, depth + 1);
      }
    } else if (value instanceof Set) for (const item of value) this.visit(item, depth + 1);
    else if (value instanceof ArrayBuffer) this.bytes += value.byteLength;
  }
};
function isShared(buffer2) {
  return Object.prototype.toString.call(buffer2) === "[object SharedArrayBuffer]";
}
function shapeOf(value) {
  const survey = new Survey();
  survey.visit(value, 0);
  const { plain, bytes, excess, loose } = survey;
  return { plain, bytes, retained: bytes + Math.max(0, excess), loose };
}
function plainShape(bytes) {
  return { plain: true, bytes, retained: bytes, loose: false };
}
var current = new node_async_hooks.AsyncLocalStorage();
var running = 0;
function enterLoader(flight, work) {
  running++;
  return current.run(flight, async () => work());
}
function leaveLoader() {
  if (--running === 0) current.disable();
}
function asking() {
  return running === 0 ? void 0 : current.getStore();
}
function refuseCycle(asker, owner, key, joined) {
  if (asker === void 0 || asker.over) return;
  const chain = [key];
  for (let flight = asker; flight !== void 0; flight = flight.parent) {
    chain.unshift(flight.key);
    if (flight.owner === owner && flight.key === key) throw new chunkEC4YPOZN_cjs.ReentrantLoadError(chain);
  }
  const circle = joined && path(joined, asker, /* @__PURE__ */ new Set());
  if (circle !== void 0) throw new chunkEC4YPOZN_cjs.ReentrantLoadError([asker.key, ...circle]);
}
function path(from, to, seen) {
  if (from === to) return [to.key];
  seen.add(from);
  for (const next2 of from.waitsFor) {
    const rest = seen.has(next2) ? void 0 : path(next2, to, seen);
    if (rest !== void 0) return [from.key, ...rest];
  }
  return void 0;
}

// src/load/aborting.ts
var Aborting = class {
  #controller;
  #listener;
  #reason;
  /** It has been aborted. */
  done = false;
  get reason() {
    return this.#reason;
  }
  get signal() {
    if (this.#controller === void 0) {
      this.#controller = new AbortController();
      if (this.done) this.#controller.abort(this.#reason);
    }
    return this.#controller.signal;
  }
  /** Calls back when it is aborted; one listener at a time. Returns how to stop listening. */
  listen(listener) {
    this.#listener = listener;
    return () => {
      if (this.#listener === listener) this.#listener = void 0;
    };
  }
  /** Counts once. */
  abort(reason = new DOMException("This operation was aborted", "AbortError")) {
    if (this.done) return;
    this.done = true;
    this.#reason = reason;
    this.#controller?.abort(reason);
    this.#listener?.(reason);
  }
};

// src/load/flight.ts
var Flight = class Flight {
  /**
   * One is kept: V8 forgets the shape of a class that has no instance at a collection, and drops all code it has compiled
   * for it. A cache that happens to have nothing under way at that moment would be slow for a second.
   */
  static kept = new Flight(
    {},
    "",
    async () => {
    },
    /* @__PURE__ */ Object.create(null),
    { generation: 0, clock: 0 },
    void 0
  );
  /** Neighbours among those under way. */
  next;
  previous;
  /** The table it stands in. */
  owner;
  key;
  loader;
  call;
  /** Taken anew before each look at the store and before the load. */
  mark;
  /** The flight whose loader asked for this one. */
  parent;
  /** What may be served when the load fails or takes long. */
  stale;
  /** The soft timeout has passed: nobody needs to wait who can have `stale`. */
  slow = false;
  /** It goes on although nobody waits. */
  background = false;
  /** The id of an entry that it replaces although it is fresh; `'any'`: whichever is found first. */
  replaces;
  /** Its key was written or deleted meanwhile; everybody who waits came before that. */
  dropped = false;
  /** Gives the lease back before the end of the load, whose result will not be written. */
  letGo;
  /** Ends the patience of those who can have `stale`. */
  soft;
  /** It has ended. */
  over = false;
  #waiters = [];
  #aborting;
  #waitsFor;
  constructor(owner, key, loader, call, mark, parent) {
    this.owner = owner;
    this.key = key;
    this.loader = loader;
    this.call = call;
    this.mark = mark;
    this.parent = parent;
  }
  /** Flights that this one's loader waits for. */
  get waitsFor() {
    this.#waitsFor ??= /* @__PURE__ */ new Set();
    return this.#waitsFor;
  }
  get aborting() {
    this.#aborting ??= new Aborting();
    return this.#aborting;
  }
  get waiting() {
    return this.#waiters.length;
  }
  /** @param left called when the last waiter has gone and nobody needs the load any more */
  join(clock, signal, again, left) {
    if (signal?.aborted) return Promise.reject(signal.reason);
    return new Promise((resolve3, reject) => {
      const stop = signal && (() => {
        const at = this.#waiters.indexOf(waiter);
        if (at === -1) return;
        this.#waiters.splice(at, 1);
        reject(signal.reason);
        if (this.#waiters.length === 0 && !this.background) left(this);
      });
      const waiter = { resolve: resolve3, reject, again, signal, stop, clock };
      if (signal && stop) chunkEC4YPOZN_cjs.onAbort(signal, stop);
      this.#waiters.push(waiter);
    });
  }
  /**
   * Answers everybody; who came after the clock stood at `upTo` asks anew, since the value may be too old for them.
   *
   * @param last nobody will be given this entry after them
   */
  settle(held, upTo = Number.POSITIVE_INFINITY, last = false) {
    const waiters = this.#take();
    for (let i = 0; i < waiters.length; i++) {
      const { resolve: resolve3, clock, again } = waiters[i];
      if (clock > upTo) resolve3(again());
      else resolve3(last && i === waiters.length - 1 ? handOver(held) : handOut(held));
    }
  }
  /** Answers everybody with a value that is not kept. */
  settleRaw(value) {
    for (const { resolve: resolve3 } of this.#take()) resolve3(value);
  }
  /** Answers the caller who began: nothing that ended before they asked can be missing from their value. */
  settleFirst(held) {
    const first = this.#waiters.shift();
    if (first === void 0) return;
    release(first);
    first.resolve(handOver(held));
  }
  /** Sends those who still wait to ask anew. */
  redirect() {
    for (const { resolve: resolve3, again } of this.#take()) resolve3(again());
  }
  fail(error) {
    for (const waiter of this.#take()) waiter.reject(error);
  }
  #take() {
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const waiter of waiters) release(waiter);
    return waiters;
  }
};
function release({ signal, stop }) {
  if (signal && stop) chunkEC4YPOZN_cjs.offAbort(signal, stop);
}
var pool = Buffer.allocUnsafeSlow(4096);
var next = pool.length;
function randomBytes(count) {
  if (next + count > pool.length) {
    node_crypto.randomFillSync(pool);
    next = 0;
  }
  next += count;
  return pool.subarray(next - count, next);
}

// src/load/leases.ts
var POLL = { first: 10, last: 50, withBus: 250 };
var Leases = class {
  #parts;
  constructor(parts) {
    this.#parts = parts;
  }
  /** `undefined`: the store is away, load without a lease. */
  async ask(key, look) {
    const { second, options, counters } = this.#parts;
    const token = randomBytes(16).toString("base64url");
    try {
      const granted = await second.acquire(key, token, options.lease, look);
      if (granted === "busy") counters.leaseWaits++;
      if (granted !== "changed") this.tell(granted === "busy" ? "busy" : "acquired");
      return granted;
    } catch (error) {
      this.#storeFailed(error);
      return void 0;
    }
  }
  /** Resolves when another node says that the key has changed, or after the pause. Rejects on abort. */
  async change(key, pause, signal) {
    const { bus } = this.#parts;
    const woken = new AbortController();
    const stop = bus.onChange(key, () => woken.abort());
    const milliseconds = (bus.healthy ? POLL.withBus : pause) * (0.75 + Math.random() / 2);
    try {
      await chunkEC4YPOZN_cjs.sleep(milliseconds, { signal: AbortSignal.any([signal, woken.signal]), ref: true });
    } catch {
      signal.throwIfAborted();
    } finally {
      stop();
    }
  }
  async renew({ lease }) {
    const { second, options } = this.#parts;
    try {
      const held = await second.guardOf(lease.key).run((tier) => tier.renew(lease, options.lease));
      if (!held) this.tell("lost");
    } catch (error) {
      this.#storeFailed(error);
    }
  }
  /** Whether nobody wrote or deleted the key since the lease was given. */
  async unchanged(permit) {
    if (permit === void 0) return true;
    const { second, options } = this.#parts;
    const { lease } = permit;
    return second.guardOf(lease.key).run((tier) => tier.renew(lease, options.lease)).catch(() => true);
  }
  giveBack(permit) {
    if (permit === void 0) return;
    this.#parts.second.guardOf(permit.lease.key).run((tier) => tier.release(permit.lease)).catch((error) => this.#storeFailed(error));
  }
  /** Publishes what became of a lease. */
  tell(event) {
    chunkEC4YPOZN_cjs.channels.lease.publish(() => ({ cache: this.#parts.options.name, event }));
  }
  #storeFailed(error) {
    chunkEC4YPOZN_cjs.channels.reject.publish(() => ({ cache: this.#parts.options.name, reason: "store", error }));
  }
};

// src/options.ts
var lifetime = (value, place2) => {
  if (typeof value === "number" && value <= 0) return 0;
  const milliseconds = chunkEC4YPOZN_cjs.durationMs(value);
  if (milliseconds === void 0)
    chunkEC4YPOZN_cjs.refuse(RangeError, place2, "a duration (milliseconds, or a string like '250ms', '30s', '15m')", value);
  return Math.ceil(milliseconds);
};
function resolveTtl(given) {
  return lifetime(given, { owner: "setTtl", name: "ttl", code: "ERR_CACHE_OPTION" });
}
function resolveTags(given) {
  return chunkEC4YPOZN_cjs.list(chunkEC4YPOZN_cjs.string())(given, { owner: "setTags", name: "tags", code: "ERR_CACHE_OPTION" });
}
var resolveWindows = chunkEC4YPOZN_cjs.defineOptions("cache", "setStale", {
  swr: chunkEC4YPOZN_cjs.optional(chunkEC4YPOZN_cjs.orFalse(chunkEC4YPOZN_cjs.duration())),
  staleIfError: chunkEC4YPOZN_cjs.optional(chunkEC4YPOZN_cjs.orFalse(chunkEC4YPOZN_cjs.duration()))
});
var ENTRY_CHECKS = {
  ttl: lifetime,
  swr: chunkEC4YPOZN_cjs.orFalse(chunkEC4YPOZN_cjs.duration()),
  staleIfError: chunkEC4YPOZN_cjs.orFalse(chunkEC4YPOZN_cjs.duration()),
  tags: chunkEC4YPOZN_cjs.list(chunkEC4YPOZN_cjs.string()),
  errorTtl: chunkEC4YPOZN_cjs.orFalse(chunkEC4YPOZN_cjs.duration()),
  loadTimeout: chunkEC4YPOZN_cjs.orFalse(chunkEC4YPOZN_cjs.duration({ min: 1 })),
  softTimeout: chunkEC4YPOZN_cjs.orFalse(chunkEC4YPOZN_cjs.duration({ min: 1 })),
  share: chunkEC4YPOZN_cjs.oneOf("freeze", "clone", "reference")
};
var ENTRY_DEFAULTS = Object.freeze({
  ttl: "5m",
  swr: false,
  staleIfError: false,
  tags: Object.freeze([]),
  errorTtl: false,
  loadTimeout: "30s",
  softTimeout: false,
  share: "freeze"
});
var L1_CHECKS = { maxBytes: chunkEC4YPOZN_cjs.size({ min: 1 }), maxEntryBytes: chunkEC4YPOZN_cjs.size(), ttl: chunkEC4YPOZN_cjs.optional(chunkEC4YPOZN_cjs.orFalse(chunkEC4YPOZN_cjs.duration())) };
var L1_DEFAULTS = Object.freeze({ maxBytes: "64mb", maxEntryBytes: "1mb" });
var DEFAULTS = Object.freeze({
  ...ENTRY_DEFAULTS,
  name: "cache",
  l1: Object.freeze({}),
  jitter: 0.1,
  earlyRefresh: false,
  storeTimeout: "250ms",
  maxPending: 1e4,
  lease: "10s",
  maxValueBytes: "1mb",
  compressAbove: false,
  maxQueuedInvalidations: 1e4,
  clock: chunkEC4YPOZN_cjs.wallClock
});
var resolveCacheOptions = chunkEC4YPOZN_cjs.defineOptions(
  "cache",
  "Cache",
  {
    ...ENTRY_CHECKS,
    name: chunkEC4YPOZN_cjs.string({ pattern: /^[\w.:-]{1,64}$/, like: "up to 64 letters, digits and _ . : -" }),
    store: chunkEC4YPOZN_cjs.optional(chunkEC4YPOZN_cjs.having("a store", "open")),
    l1: chunkEC4YPOZN_cjs.orFalse(chunkEC4YPOZN_cjs.nested(L1_CHECKS, L1_DEFAULTS)),
    jitter: chunkEC4YPOZN_cjs.number({ min: 0, max: 1 }),
    earlyRefresh: chunkEC4YPOZN_cjs.orFalse(chunkEC4YPOZN_cjs.number({ min: 0 })),
    storeTimeout: chunkEC4YPOZN_cjs.duration({ min: 1 }),
    maxPending: chunkEC4YPOZN_cjs.integer({ min: 1 }),
    lease: chunkEC4YPOZN_cjs.duration({ min: 10 }),
    maxValueBytes: chunkEC4YPOZN_cjs.size({ min: 1 }),
    compressAbove: chunkEC4YPOZN_cjs.orFalse(chunkEC4YPOZN_cjs.size()),
    maxQueuedInvalidations: chunkEC4YPOZN_cjs.integer({ min: 1 }),
    clock: chunkEC4YPOZN_cjs.having("a clock", "now")
  },
  DEFAULTS
);
var CALL_CHECKS = {
  ...ENTRY_CHECKS,
  signal: chunkEC4YPOZN_cjs.optional(chunkEC4YPOZN_cjs.having("an AbortSignal", "addEventListener")),
  refresh: chunkEC4YPOZN_cjs.boolean
};
function callResolver(cache) {
  const { ttl, swr, staleIfError, tags, errorTtl, loadTimeout, softTimeout, share } = cache;
  const sharing = (given) => cache.l1 === false && given === "freeze" ? "own" : given;
  const rest = { ttl, swr, staleIfError, tags, errorTtl, loadTimeout, softTimeout };
  const defaults = Object.freeze({ ...rest, share: sharing(share) });
  const resolve3 = chunkEC4YPOZN_cjs.defineOptions("cache", "getOrSet", CALL_CHECKS, { ...rest, share, refresh: false });
  const known = /* @__PURE__ */ new WeakMap();
  return (given) => {
    if (given === void 0) return defaults;
    let resolved = known.get(given);
    if (resolved === void 0) {
      const call = resolve3(given);
      resolved = { ...call, share: sharing(call.share) };
      if (Object.isFrozen(given)) known.set(given, resolved);
    }
    return resolved;
  };
}

// src/load/load.ts
var LISTENED = [chunkEC4YPOZN_cjs.channels.load];
function runLoader(flight, cache) {
  const { call, aborting } = flight;
  const started = performance.now();
  const caller2 = chunkEC4YPOZN_cjs.callerOf(LISTENED);
  let ttl = call.ttl;
  let leniency = call;
  let tags = call.tags;
  let skipped = false;
  const context = {
    get signal() {
      return aborting.signal;
    },
    // A copy: the entry itself must not reach somebody who may change it.
    stale: flight.stale && (call.share === "reference" ? flight.stale.value : copyOf(flight.stale)),
    background: flight.background,
    setTtl(given) {
      ttl = resolveTtl(given);
    },
    setStale(given) {
      leniency = { ...leniency, ...resolveWindows(given) };
    },
    setTags(given) {
      tags = resolveTags(given);
    },
    skip() {
      skipped = true;
    }
  };
  return new Promise((resolve3, reject) => {
    const { loadTimeout } = call;
    const timer = loadTimeout === false ? void 0 : setTimeout(
      () => aborting.abort(new chunkEC4YPOZN_cjs.LoadTimeoutError(loadTimeout)),
      Math.min(loadTimeout, chunkEC4YPOZN_cjs.MAX_TIMER)
    );
    const deafen = aborting.listen((reason) => end(false, () => reject(reason)));
    const end = (ok, settle) => {
      leaveLoader();
      clearTimeout(timer);
      deafen();
      const milliseconds = performance.now() - started;
      chunkEC4YPOZN_cjs.channels.load.publish(() => ({ cache, milliseconds, ok, background: flight.background }), caller2);
      settle();
    };
    enterLoader(flight, () => flight.loader(context)).then(
      (value) => {
        if (aborting.done) return;
        end(
          true,
          () => resolve3({ value, ttl, leniency, tags, skipped, milliseconds: performance.now() - started })
        );
      },
      (error) => {
        if (!aborting.done) end(false, () => reject(error));
      }
    );
  });
}

// src/load/pilot.ts
var Pilot = class {
  #parts;
  #leases;
  #unlist;
  #landed;
  /**
   * @param unlist called when later callers must not join the flight any more
   * @param landed called when it is over; must not throw
   */
  constructor(parts, unlist, landed) {
    this.#parts = parts;
    this.#leases = new Leases(parts);
    this.#unlist = unlist;
    this.#landed = landed;
  }
  /** Most flights are answered by the first look: those take no longer way than that. */
  fly(flight) {
    flight.soft = this.#softTimer(flight);
    const look = this.#look(flight);
    if (look === "away") {
      void this.#goOn(flight, look);
      return;
    }
    look.then(
      (found) => {
        if (found !== "away" && this.#answered(flight, found)) this.#land(flight);
        else void this.#goOn(flight, found);
      },
      (error) => {
        this.#storeFailed(error);
        void this.#goOn(flight, "away");
      }
    );
  }
  /** Never rejects. */
  async #goOn(flight, look) {
    try {
      const search = await this.#search(flight, look);
      if (search !== "answered") await this.#load(flight, search);
    } catch (error) {
      flight.fail(error);
    }
    this.#land(flight);
  }
  #land(flight) {
    clearTimeout(flight.soft);
    this.#landed(flight);
  }
  /** @param look what has been found, and does not answer */
  async #search(flight, look) {
    const { key, call } = flight;
    const started = performance.now();
    for (let pause = POLL.first; ; pause = Math.min(pause * 2, POLL.last)) {
      if (look === "away") return this.#doWithout(flight);
      const granted = await this.#leases.ask(key, look);
      if (typeof granted !== "string") return granted;
      if (granted === "busy") {
        if (flight.stale !== void 0 && this.#allowed(flight, flight.stale)) {
          this.#serveStale(flight, flight.stale, "lease");
          return "answered";
        }
        if (flight.background && flight.waiting === 0) return "answered";
        await this.#leases.change(key, pause, flight.aborting.signal);
      }
      if (call.loadTimeout !== false && performance.now() - started > call.loadTimeout) {
        throw new chunkEC4YPOZN_cjs.LoadTimeoutError(call.loadTimeout);
      }
      try {
        look = await this.#look(flight);
      } catch (error) {
        this.#storeFailed(error);
        look = "away";
      }
      if (look !== "away" && this.#answers(flight, look)) return "answered";
    }
  }
  /** In an outage this is the way of every miss: it must cost nothing, not even an error. */
  #look(flight) {
    const { second, fence } = this.#parts;
    if (second === void 0) return "away";
    const guard = second.guardOf(flight.key);
    if (guard.opening !== void 0) return guard.opening.then(() => this.#look(flight));
    if (!guard.usable) {
      guard.probe();
      return "away";
    }
    flight.mark = fence.mark(flight.key);
    return second.look(flight.key, flight.call.tags);
  }
  #answered(flight, look) {
    try {
      return this.#answers(flight, look);
    } catch (error) {
      flight.fail(error);
      return true;
    }
  }
  /** The store has just gone away: an entry that was only to be compared with it is good enough. */
  #doWithout(flight) {
    const { stale, call } = flight;
    const { options } = this.#parts;
    if (stale === void 0 || flight.replaces !== void 0 || !this.#allowed(flight, stale))
      return void 0;
    if (freshnessOf(stale, call, options.clock.now(), false) !== "fresh") return void 0;
    flight.settle(stale);
    return "answered";
  }
  /** Answers from what the store holds, if that is good enough. False: a load is needed, perhaps in the background. */
  #answers(flight, { frame }) {
    const { options, counters, failures, fence } = this.#parts;
    if (frame === void 0) {
      flight.stale = void 0;
      flight.replaces = void 0;
      return false;
    }
    if (flight.replaces === "any") flight.replaces = frame.id;
    const now = options.clock.now();
    const freshness = freshnessOf(frame, flight.call, now, options.earlyRefresh);
    if (freshness === "dead") return false;
    const replaced = frame.id === flight.replaces;
    const enough = freshness === "fresh" && !replaced;
    if (enough) this.#unlist(flight);
    const known = flight.stale?.id === frame.id ? flight.stale : void 0;
    const held = known ?? this.#parts.second.unpack(frame, flight.mark.clock, flight.call.share);
    if (held === void 0) return false;
    if (replaced) {
      flight.stale = held;
      return false;
    }
    this.#keep(flight, held);
    if (freshness === "fresh" || freshness === "early") {
      if (flight.waiting > 0) {
        counters.l2Hits += flight.waiting;
        if (chunkEC4YPOZN_cjs.channels.hit.active) {
          chunkEC4YPOZN_cjs.channels.hit.publish(() => ({ cache: options.name, tier: "l2", stale: false }));
        }
        flight.settle(held, void 0, enough);
      }
      flight.background = true;
      flight.stale = held;
      return enough;
    }
    flight.stale = held;
    const failure = failures.of(flight.key);
    const waits = failure !== void 0 && now < failure.retryAt;
    if (freshness === "revalidate" || waits) {
      flight.background = true;
      this.#serveStale(flight, held, waits ? "error" : "revalidate");
    }
    return waits && fence.current(held.clock, held.tags);
  }
  async #load(flight, permit) {
    const { second, fence, options, counters } = this.#parts;
    if (flight.aborting.done) return this.#leases.giveBack(permit);
    const renewal = permit && setInterval(() => this.#leases.renew(permit), options.lease / 3);
    flight.mark = fence.mark(flight.key);
    flight.dropped = false;
    flight.letGo = permit && (() => this.#leases.giveBack(permit));
    const begun = performance.now();
    counters.loads++;
    if (!flight.background) {
      counters.misses++;
      chunkEC4YPOZN_cjs.channels.miss.publish(() => ({ cache: options.name }));
    }
    let loaded;
    try {
      loaded = await runLoader(flight, options.name);
    } catch (error) {
      await this.#failed(flight, permit, error);
      return;
    } finally {
      clearInterval(renewal);
      flight.letGo = void 0;
    }
    this.#parts.failures.forget(flight.key);
    const entry = this.#prepare(flight, loaded);
    const voided = flight.dropped || !fence.current(flight.mark.clock, loaded.tags);
    if (entry === void 0 || loaded.skipped || loaded.ttl === 0 || voided) {
      if (permit !== void 0 && voided) this.#leases.tell("voided");
      this.#unlist(flight);
      if (entry === void 0) flight.settleRaw(loaded.value);
      else flight.settle(entry.held, this.#knownUpTo(flight, entry.held), true);
      return this.#leases.giveBack(permit);
    }
    const { held, encoded } = entry;
    if (permit === void 0 || encoded === void 0 || !second.admits(encoded)) {
      this.#finish(flight, held);
      return this.#leases.giveBack(permit);
    }
    await this.#commit(flight, permit, held, { encoded, tags: loaded.tags, times: held }, begun);
  }
  async #commit(flight, permit, held, draft, begun) {
    const { second, bus } = this.#parts;
    const message = bus.write({ kind: "keys", names: [flight.key] });
    let id;
    try {
      id = await second.commit(permit, draft, begun, message);
    } catch (error) {
      this.#storeFailed(error);
      this.#finish(flight, held);
      return;
    }
    if (id === void 0) {
      this.#leases.tell("voided");
      this.#unlist(flight);
      flight.settleFirst(held);
      flight.redirect();
      return;
    }
    held.id = id;
    this.#finish(flight, held);
  }
  async #failed(flight, permit, error) {
    const { failures, counters, options } = this.#parts;
    const { key, call, mark, aborting } = flight;
    const now = options.clock.now();
    const abandoned = aborting.done && !(error instanceof chunkEC4YPOZN_cjs.LoadTimeoutError);
    if (!abandoned) {
      counters.loadErrors++;
      failures.record(key, error, now, call.errorTtl, mark, call.tags);
      const { stale } = flight;
      if (stale !== void 0 && freshnessOf(stale, call, now, false) !== "dead" && await this.#leases.unchanged(permit)) {
        if (this.#allowed(flight, stale)) this.#serveStale(flight, stale, "error");
      }
    }
    this.#unlist(flight);
    flight.fail(error);
    this.#leases.giveBack(permit);
  }
  /** Turns what the loader brought into an entry; `undefined` when a cache cannot hold it. */
  #prepare({ mark, call }, { value, ttl, leniency, tags, milliseconds }) {
    if (value === void 0) return void 0;
    const { options, second } = this.#parts;
    try {
      const shape = shapeOf(value);
      const encoded = second && encode(value, shape);
      const times = timesOf(ttl, leniency, options.clock.now(), options.jitter, milliseconds);
      const material = { value, shape, known: true, tags, id: "", clock: mark.clock };
      return { held: hold(material, times, call.share), encoded };
    } catch (error) {
      chunkEC4YPOZN_cjs.channels.reject.publish(() => ({ cache: options.name, reason: "uncacheable", error }));
      return void 0;
    }
  }
  /** The next caller finds the entry where it is kept. */
  #finish(flight, held) {
    this.#keep(flight, held);
    this.#unlist(flight);
    flight.settle(held, this.#knownUpTo(flight, held), true);
  }
  #keep({ key, mark }, held) {
    const { fence, first, options } = this.#parts;
    if (fence.holds(key, mark, held.tags)) first.keep(key, held, fence.clock, options.clock.now());
  }
  /** Until when callers may have come for whom this value is new enough. */
  #knownUpTo({ mark }, { tags }) {
    return this.#parts.fence.current(mark.clock, tags) ? Number.POSITIVE_INFINITY : mark.clock;
  }
  /** An entry that was invalidated is not served, however useful it were. */
  #allowed(flight, stale) {
    return !flight.dropped && this.#parts.fence.current(stale.clock, stale.tags);
  }
  #serveStale(flight, held, reason) {
    if (flight.waiting === 0) return;
    const { counters, options } = this.#parts;
    counters.stale += flight.waiting;
    chunkEC4YPOZN_cjs.channels.stale.publish(() => ({ cache: options.name, reason }));
    flight.settle(held);
  }
  #softTimer(flight) {
    const { softTimeout } = flight.call;
    if (softTimeout === false) return void 0;
    return setTimeout(() => {
      const { stale } = flight;
      if (stale === void 0 || !this.#allowed(flight, stale)) return;
      flight.background = true;
      flight.slow = true;
      this.#serveStale(flight, stale, "slow");
    }, softTimeout);
  }
  #storeFailed(error) {
    chunkEC4YPOZN_cjs.channels.reject.publish(() => ({ cache: this.#parts.options.name, reason: "store", error }));
  }
};

// src/load/flights.ts
var Flights = class {
  #parts;
  #pilot;
  #table = /* @__PURE__ */ new Map();
  #flying = new chunkEC4YPOZN_cjs.LinkedList();
  #landed;
  constructor(parts) {
    this.#parts = parts;
    this.#pilot = new Pilot(
      parts,
      (flight) => this.#unlist(flight),
      (flight) => this.#land(flight)
    );
  }
  get size() {
    return this.#flying.size;
  }
  /** Joins the flight of the key, or begins one. @param stale what may be served when the load fails or takes long */
  join({ key, loader, call, signal, again, anew }, stale) {
    const { fence, counters } = this.#parts;
    const asker = asking();
    const found = this.#current(key);
    if (found !== void 0 && !anew && this.#staleDoes(found, call)) {
      counters.stale++;
      return Promise.resolve(handOut(found.stale));
    }
    refuseCycle(asker, this, key, found);
    if (found !== void 0) counters.joins++;
    const flight = found ?? this.#begin(key, loader, call, stale, asker);
    if (found === void 0 && anew) flight.replaces = "any";
    const answer = flight.join(fence.clock, signal, found === void 0 ? again : here(again), this.#abandon);
    if (found === void 0) this.#fly(flight);
    if (asker === void 0) return answer;
    asker.waitsFor.add(flight);
    return answer.finally(() => asker.waitsFor.delete(flight));
  }
  /** Begins a load that nobody waits for, unless one is under way. @param replaces the id of an entry that is fresh */
  refresh(key, loader, call, stale, replaces) {
    if (this.#current(key) !== void 0) return;
    const flight = this.#begin(key, loader, call, stale, void 0);
    flight.background = true;
    flight.replaces = replaces;
    this.#fly(flight);
  }
  /** The key has changed: what is under way serves those who wait for it, and nobody else. */
  drop(key) {
    const flight = this.#table.get(key);
    if (flight === void 0) return;
    flight.dropped = true;
    this.#table.delete(key);
  }
  dropAll() {
    for (const flight of [...this.#table.values()]) this.#supersede(flight);
  }
  /** Tags were invalidated: loads of theirs that began before hold up nobody any more, here or on other nodes. */
  dropStale() {
    for (const flight of [...this.#table.values()]) if (!this.#isCurrent(flight)) this.#supersede(flight);
  }
  /** Waits for what is under way, and aborts what is left after the time. */
  async close(options, reason) {
    if (this.#flying.size > 0) {
      await chunkEC4YPOZN_cjs.drainWithin(new Promise((resolve3) => this.#landed = resolve3), options, "5s");
    }
    for (const flight of this.#flying) {
      flight.aborting.abort(reason);
      flight.fail(reason);
    }
  }
  /** Whether the entry that is being replaced is good enough for a caller. */
  #staleDoes({ stale, slow }, call) {
    const { fence, options } = this.#parts;
    if (stale === void 0 || !fence.current(stale.clock, stale.tags)) return false;
    const freshness = freshnessOf(stale, call, options.clock.now(), false);
    return freshness === "fresh" || freshness === "revalidate" || slow && freshness === "failover";
  }
  /** The flight that a caller may join: none that began before one of its tags was invalidated. */
  #current(key) {
    const found = this.#table.get(key);
    if (found === void 0 || this.#isCurrent(found)) return found;
    this.#supersede(found);
    return void 0;
  }
  #isCurrent({ mark, call }) {
    return this.#parts.fence.current(mark.clock, call.tags);
  }
  /** A deleted key has lost its lease in the store; after a tag or a clear it must be given back. */
  #supersede(flight) {
    this.drop(flight.key);
    flight.letGo?.();
    flight.letGo = void 0;
  }
  #begin(key, loader, call, stale, parent) {
    const flight = new Flight(this, key, loader, call, this.#parts.fence.mark(key), parent);
    flight.stale = stale;
    this.#table.set(key, flight);
    return flight;
  }
  #fly(flight) {
    this.#flying.add(flight);
    this.#pilot.fly(flight);
  }
  #land(flight) {
    flight.over = true;
    flight.stale = void 0;
    this.#unlist(flight);
    flight.redirect();
    this.#flying.delete(flight);
    if (this.#flying.size === 0) this.#landed?.();
  }
  /** Nobody waits any more: the loader is told to stop, and the next caller begins anew. */
  #abandon = (flight) => {
    this.#unlist(flight);
    flight.aborting.abort();
  };
  #unlist(flight) {
    if (this.#table.get(flight.key) === flight) this.#table.delete(flight.key);
  }
};
function here(again) {
  const joined = chunkEC4YPOZN_cjs.caller();
  return () => joined.runInAsyncScope(again);
}

// src/entry/epochs.ts
var EVERYTHING = "all";
function epochName(tag) {
  return `#${tag}`;
}
var ONLY_EVERYTHING = Object.freeze([EVERYTHING]);
function epochNames(tags) {
  return tags.length === 0 ? ONLY_EVERYTHING : [EVERYTHING, ...new Set(tags.map(epochName))];
}
var NO_TAGS = Object.freeze([]);
function tagsOf(stamps) {
  if (stamps.length === 2) return NO_TAGS;
  const tags = [];
  for (let i = 2; i < stamps.length; i += 2) tags.push(stamps[i].slice(1));
  return tags;
}
var Epochs = class Epochs {
  names;
  #values;
  /** @param values `undefined`: it does not exist */
  constructor(names, values) {
    this.names = names;
    this.#values = values;
  }
  /** `undefined`: nobody looked, or it does not exist. */
  of(name) {
    const at = this.names.indexOf(name);
    return at === -1 ? void 0 : this.#values[at];
  }
  /** Those that were looked for and do not exist. */
  missing() {
    return this.names.filter((_, i) => this.#values[i] === void 0);
  }
  /** Names in an entry that nobody looked for yet; `undefined` when one of the others has a newer epoch. */
  unseen(stamps) {
    let unseen = NO_TAGS;
    for (let i = 0; i < stamps.length; i += 2) {
      const at = this.names.indexOf(stamps[i]);
      if (at === -1) unseen = [...unseen, stamps[i]];
      else if (this.#values[at] !== stamps[i + 1]) return void 0;
    }
    return unseen;
  }
  with(names, values) {
    if (names.length === 0) return this;
    const kept = this.names.filter((name) => !names.includes(name));
    return new Epochs([...kept, ...names], [...kept.map((name) => this.of(name)), ...values]);
  }
};

// src/load/invalidation.ts
var Invalidation = class {
  #parts;
  #flights;
  constructor(parts, flights) {
    this.#parts = parts;
    this.#flights = flights;
  }
  async keys(keys) {
    const { second, bus } = this.#parts;
    const touch = () => {
      for (const key of keys) this.touch(key);
    };
    touch();
    const parts = second === void 0 ? [] : [...second.split(keys)];
    const sent = parts.map(([guard, names]) => {
      const message = bus.write({ kind: "keys", names });
      return this.#send(
        guard,
        (tier) => tier.remove(names, message),
        () => {
          for (const key of names) guard.journal.key(key);
        }
      );
    });
    const queued = await Promise.all(sent);
    touch();
    this.#announce("key", keys.length, queued);
  }
  async tags(tags) {
    const { second, bus, fence } = this.#parts;
    const touch = () => {
      for (const tag of tags) fence.touchTag(tag);
      this.#flights.dropStale();
    };
    touch();
    const sent = tags.flatMap((tag) => {
      const message = bus.write({ kind: "tags", names: [tag] });
      return (second?.guards ?? []).map(
        (guard) => this.#send(
          guard,
          (tier) => tier.bump(epochName(tag), message),
          () => guard.journal.tag(tag)
        )
      );
    });
    const queued = await Promise.all(sent);
    touch();
    this.#announce("tag", tags.length, queued);
  }
  async everything() {
    const { second, bus } = this.#parts;
    this.touchEverything();
    const message = bus.write({ kind: "all" });
    const sent = (second?.guards ?? []).map(
      (guard) => this.#send(
        guard,
        (tier) => tier.bump(EVERYTHING, message),
        () => guard.journal.all()
      )
    );
    const queued = await Promise.all(sent);
    this.touchEverything();
    this.#announce("all", 1, queued);
  }
  /** The key has changed: nothing that was read or begun before is kept, nor served to later callers. */
  touch(key) {
    const { fence, first, failures } = this.#parts;
    fence.touch(key);
    first.delete(key);
    failures.forget(key);
    this.#flights.drop(key);
  }
  touchEverything() {
    const { fence, first, failures } = this.#parts;
    fence.touchAll();
    first.clear();
    failures.clear();
    this.#flights.dropAll();
  }
  /** Tells the store what it missed; rejects when it cannot. */
  async replay({ keys, tags, all }, send) {
    const { bus } = this.#parts;
    if (all) await send((tier) => tier.bump(EVERYTHING, bus.write({ kind: "all" })));
    for (let i = 0; i < keys.length; i += REPLAY_BATCH) {
      const batch = keys.slice(i, i + REPLAY_BATCH);
      await send((tier) => tier.remove(batch, bus.write({ kind: "keys", names: batch })));
    }
    for (const tag of tags) {
      await send((tier) => tier.bump(epochName(tag), bus.write({ kind: "tags", names: [tag] })));
    }
  }
  message(text) {
    const event = this.#parts.bus.read(text);
    if (event === void 0) return;
    if (event.kind === "all") this.touchEverything();
    else if (event.kind === "tags") {
      for (const tag of event.names) this.#parts.fence.touchTag(tag);
      this.#flights.dropStale();
    } else {
      for (const key of event.names) {
        this.touch(key);
        this.#parts.bus.wake(key);
      }
    }
  }
  gap() {
    if (!this.#parts.bus.healthy) return;
    this.#parts.bus.healthy = false;
    this.#parts.fence.doubtAll();
    chunkEC4YPOZN_cjs.channels.gap.publish(() => ({ cache: this.#parts.options.name, healed: false }));
  }
  healed() {
    if (this.#parts.bus.healthy) return;
    this.#parts.bus.healthy = true;
    this.#parts.fence.doubtAll();
    chunkEC4YPOZN_cjs.channels.gap.publish(() => ({ cache: this.#parts.options.name, healed: true }));
  }
  /** True when it did not reach the server and was queued. */
  async #send(guard, work, queue) {
    if (guard.opening !== void 0) await guard.opening;
    try {
      await guard.run(work);
      return false;
    } catch (error) {
      queue();
      guard.probe();
      chunkEC4YPOZN_cjs.channels.reject.publish(() => ({ cache: this.#parts.options.name, reason: "store", error }));
      return true;
    }
  }
  #announce(what, count, queued) {
    const { counters, options } = this.#parts;
    counters.invalidations += what === "key" ? 1 : count;
    chunkEC4YPOZN_cjs.channels.invalidate.publish(() => ({ cache: options.name, what, count, queued: queued.includes(true) }));
  }
};
var REPLAY_BATCH = 500;

// src/stats.ts
function statsOf({ options, counters, first, second, bus }, inFlight) {
  const { l1Hits, l2Hits, ...rest } = counters;
  const beyond = l2Hits + counters.misses + counters.joins;
  return {
    name: options.name,
    l1: { hits: l1Hits, hitRatio: ratio(l1Hits, l1Hits + beyond), ...first.stats() },
    l2: second && {
      hits: l2Hits,
      hitRatio: ratio(l2Hits, beyond),
      ...together(second.guards.map((guard) => guard.stats())),
      busHealthy: second.hasBus ? bus.healthy : void 0
    },
    ...rest,
    inFlight
  };
}
function together(servers2) {
  const sum = (count) => servers2.reduce((total, server) => total + count(server), 0);
  return {
    ready: servers2.every(({ ready }) => ready),
    breakerOpen: servers2.some(({ breakerOpen }) => breakerOpen),
    serversAway: sum(({ usable }) => usable ? 0 : 1),
    pending: sum(({ pending }) => pending),
    timeouts: sum(({ timeouts }) => timeouts),
    queuedInvalidations: sum(({ queuedInvalidations }) => queuedInvalidations)
  };
}
function ratio(part, whole) {
  return whole === 0 ? 0 : part / whole;
}

// src/coherence/bus.ts
var Bus = class {
  /** Messages arrive: other nodes' changes become known at once. False before the first connection and in a gap. */
  healthy = false;
  #sender;
  #waiting = /* @__PURE__ */ new Map();
  /** @param sender tells this cache from all others of its name, also in the same process */
  constructor(sender) {
    this.#sender = sender;
  }
  write(event) {
    return JSON.stringify([this.#sender, event.kind, ...event.kind === "all" ? [] : event.names]);
  }
  /** The event in a message; `undefined` for an own or a foreign one. */
  read(text) {
    const [sender, kind, ...names] = parse2(text);
    if (sender === this.#sender) return void 0;
    if (kind === "all") return { kind };
    return kind === "keys" || kind === "tags" ? { kind, names } : void 0;
  }
  /** Calls back once when another node reports a change of the key. Returns how to stop listening. */
  onChange(key, callback) {
    let callbacks = this.#waiting.get(key);
    if (callbacks === void 0) this.#waiting.set(key, callbacks = /* @__PURE__ */ new Set());
    callbacks.add(callback);
    return () => {
      callbacks.delete(callback);
      if (callbacks.size === 0 && this.#waiting.get(key) === callbacks) this.#waiting.delete(key);
    };
  }
  wake(key) {
    const callbacks = this.#waiting.get(key);
    if (callbacks === void 0) return;
    this.#waiting.delete(key);
    for (const callback of callbacks) callback();
  }
};
function parse2(text) {
  try {
    const list2 = JSON.parse(text);
    return Array.isArray(list2) && list2.every((item) => typeof item === "string") ? list2 : [];
  } catch {
    return [];
  }
}
var FIRST_PAUSE = 1e3;
var MAX_PAUSE = 3e4;
var MAX_FAILURES = 1e4;
var Failures = class {
  #fence;
  #known = new lruCache.LRUCache({ max: MAX_FAILURES });
  constructor(fence) {
    this.#fence = fence;
  }
  record(key, error, now, errorTtl, mark, tags) {
    const name = chunkEC4YPOZN_cjs.shortName(key);
    const count = (this.#known.get(name)?.count ?? 0) + 1;
    this.#known.set(name, {
      error,
      count,
      until: errorTtl === false ? 0 : now + errorTtl,
      retryAt: now + Math.min(FIRST_PAUSE * 2 ** (count - 1), MAX_PAUSE),
      mark,
      tags
    });
  }
  forget(key) {
    if (this.#known.size > 0) this.#known.delete(chunkEC4YPOZN_cjs.shortName(key));
  }
  /** The failure that still stands. An invalidation ends it: the next load may succeed. */
  of(key) {
    if (this.#known.size === 0) return void 0;
    const name = chunkEC4YPOZN_cjs.shortName(key);
    const failure = this.#known.get(name);
    if (failure === void 0) return void 0;
    if (this.#fence.holds(key, failure.mark, failure.tags)) return failure;
    this.#known.delete(name);
    return void 0;
  }
  get size() {
    return this.#known.size;
  }
  clear() {
    this.#known.clear();
  }
};

// src/coherence/fence.ts
var STRIPES = 16384;
var MAX_TAGS = 1e4;
var Fence = class {
  /** Counts invalidations by tag, namespace or doubt. Whoever holds this number has nothing to check. */
  clock = 1;
  #stripes = new Uint32Array(STRIPES);
  /** The clock at each tag's latest invalidation. */
  #tags = /* @__PURE__ */ new Map();
  /** The clock below which nothing holds. */
  #floor = 0;
  /** The clock below which an entry must be compared with the store: invalidations may have been missed. */
  #doubt = 0;
  mark(key) {
    return { generation: this.#stripes[stripe(key)], clock: this.clock };
  }
  /** The key was written or deleted. */
  touch(key) {
    this.#stripes[stripe(key)] += 1;
  }
  touchTag(tag) {
    const name = chunkEC4YPOZN_cjs.shortName(tag);
    if (this.#tags.size >= MAX_TAGS && !this.#tags.has(name)) {
      this.touchAll();
    }
    this.#tags.set(name, ++this.clock);
  }
  touchAll() {
    this.#floor = ++this.clock;
    this.#tags.clear();
  }
  doubtAll() {
    this.#doubt = ++this.clock;
  }
  doubts(clock) {
    return clock < this.#doubt;
  }
  /** Something that began at the mark may be kept under this key. */
  holds(key, mark, tags) {
    return this.#stripes[stripe(key)] === mark.generation && mark.clock >= this.#doubt && this.current(mark.clock, tags);
  }
  /** None of the tags was invalidated since the clock stood there. */
  current(clock, tags) {
    if (clock === this.clock) return true;
    if (clock < this.#floor) return false;
    for (const tag of tags) if ((this.#tags.get(chunkEC4YPOZN_cjs.shortName(tag)) ?? 0) > clock) return false;
    return true;
  }
};
function stripe(key) {
  let hash = 2166136261;
  for (let i = Math.max(0, key.length - 64); i < key.length; i++)
    hash = Math.imul(hash ^ key.charCodeAt(i), 16777619);
  return (hash >>> 0) % STRIPES;
}

// src/tiers/counters.ts
var Counters = class {
  l1Hits = 0;
  l2Hits = 0;
  misses = 0;
  /** Answers that were expired. */
  stale = 0;
  loads = 0;
  loadErrors = 0;
  /** Callers who waited for a load that had begun already. */
  joins = 0;
  /** Times another process was found loading. */
  leaseWaits = 0;
  invalidations = 0;
};
var TRUST = 100;
var OVERHEAD = 200;
var FirstTier = class {
  #options;
  #entries;
  constructor(options) {
    this.#options = options;
    this.#entries = new lruCache.LRUCache(options ? { maxSize: options.maxBytes } : { max: 1 });
  }
  get(key) {
    return this.#entries.get(key);
  }
  /** Keeps an entry that is valid now. One that is too large takes the one before it along. */
  keep(key, held, clock, now) {
    if (this.#options === false) return;
    const { maxEntryBytes, ttl, early, informed } = this.#options;
    held.clock = clock;
    held.verifyAt = informed() ? now + ttl : 0;
    held.hotUntil = Math.min(held.verifyAt, early ? earlyFrom(held) : held.freshUntil);
    if (held.bytes > maxEntryBytes) this.#entries.delete(key);
    else if (this.#entries.peek(key) !== held) {
      this.#entries.set(key, held, { size: held.bytes + key.length * 2 + OVERHEAD });
    }
  }
  /** The store is away: the entry is good enough for a moment, without another look. */
  trust(held, clock, now) {
    held.clock = clock;
    held.verifyAt = 0;
    held.hotUntil = Math.min(now + TRUST, held.freshUntil);
  }
  delete(key) {
    this.#entries.delete(key);
  }
  clear() {
    this.#entries.clear();
  }
  stats() {
    return { entries: this.#entries.size, bytes: this.#entries.calculatedSize };
  }
};

// src/tiers/breaker.ts
var IN_A_ROW = 5;
var LEAST = 20;
var WINDOW = 1e4;
var Breaker = class {
  open = false;
  #calls = 0;
  #failures = 0;
  #inARow = 0;
  #since = 0;
  succeeded() {
    this.#inARow = 0;
    this.#calls++;
  }
  /** True when this failure opened it. */
  failed(now) {
    if (now - this.#since > WINDOW) {
      this.#since = now;
      this.#calls = 0;
      this.#failures = 0;
    }
    this.#calls++;
    this.#failures++;
    this.#inARow++;
    const trips = this.#inARow >= IN_A_ROW || this.#calls >= LEAST && this.#failures * 2 >= this.#calls;
    if (this.open || !trips) return false;
    this.open = true;
    return true;
  }
  close() {
    this.open = false;
    this.#calls = 0;
    this.#failures = 0;
    this.#inARow = 0;
  }
};

// src/tiers/journal.ts
var MAX_CHARACTERS = 8e6;
var Journal = class {
  #limit;
  #keys = /* @__PURE__ */ new Set();
  #tags = /* @__PURE__ */ new Set();
  #all = false;
  #characters = 0;
  constructor(limit) {
    this.#limit = limit;
  }
  get size() {
    return this.#keys.size + this.#tags.size + (this.#all ? 1 : 0);
  }
  key(key) {
    if (!this.#all) this.#add(this.#keys, key);
  }
  tag(tag) {
    if (!this.#all) this.#add(this.#tags, tag);
  }
  all() {
    this.#clear();
    this.#all = true;
  }
  /** Takes everything out. Give it back with {@link restore} when it could not be paid. */
  take() {
    const debt = { keys: [...this.#keys], tags: [...this.#tags], all: this.#all };
    this.#clear();
    return debt;
  }
  restore({ keys, tags, all }) {
    if (all) this.all();
    for (const key of keys) this.key(key);
    for (const tag of tags) this.tag(tag);
  }
  #add(names, name) {
    if (names.has(name)) return;
    names.add(name);
    this.#characters += name.length;
    if (this.size > this.#limit || this.#characters > MAX_CHARACTERS) this.all();
  }
  #clear() {
    this.#keys.clear();
    this.#tags.clear();
    this.#all = false;
    this.#characters = 0;
  }
};

// src/tiers/guard.ts
var FIRST_PROBE = 250;
var MAX_PROBE = 1e3;
var Guard = class {
  tier;
  journal;
  #options;
  #deadlines;
  #breaker = new Breaker();
  #stop = new AbortController();
  #pending = 0;
  #timeouts = 0;
  #probing = false;
  /** Invalidations on their way to the store; they are owed until it has them all. */
  #replaying = 0;
  #opened;
  constructor(options) {
    this.#options = options;
    this.tier = options.tier;
    this.journal = new Journal(options.maxQueuedInvalidations);
    this.#deadlines = new chunkEC4YPOZN_cjs.TimeoutQueue(options.timeout, ({ expire }) => expire());
    if (!this.tier.ready) {
      this.#opened = this.#within(
        this.tier.opened(),
        () => new chunkEC4YPOZN_cjs.StoreUnavailableError("it did not connect in time")
      ).catch(() => {
      }).finally(() => {
        this.#opened = void 0;
      });
    }
  }
  /** Whether the next operation would be sent. Otherwise the caller goes on without the tier. */
  get usable() {
    return !this.#breaker.open && this.#owed === 0 && this.tier.ready && this.#pending < this.#options.maxPending && !this.#stop.signal.aborted;
  }
  /** Set while the first connection is being made. */
  get opening() {
    return this.#opened;
  }
  get #owed() {
    return this.journal.size + this.#replaying;
  }
  stats() {
    return {
      ready: this.tier.ready,
      usable: this.usable,
      breakerOpen: this.#breaker.open,
      pending: this.#pending,
      timeouts: this.#timeouts,
      queuedInvalidations: this.#owed
    };
  }
  /**
   * Runs one operation of the tier.
   *
   * @throws StoreUnavailableError when it was not sent or took too long; the tier's own error otherwise
   */
  run(operation) {
    if (!this.usable) {
      if (!this.tier.ready || this.#owed > 0) this.probe();
      return Promise.reject(new chunkEC4YPOZN_cjs.StoreUnavailableError(this.#breaker.open ? "breaker open" : "not ready"));
    }
    this.#pending++;
    return this.#within(start(operation, this.tier), this.#late, this.#ended);
  }
  /** Makes sure that somebody keeps asking until the tier is back. */
  probe() {
    if (this.#probing || this.#stop.signal.aborted) return;
    this.#probing = true;
    void this.#probeLoop();
  }
  close() {
    this.#stop.abort();
  }
  /**
   * Settles like the promise, or rejects with `late()` when that takes too long. A late rejection is swallowed.
   *
   * @param ended called just before it settles, in whatever way
   */
  #within(promise, late, ended = () => {
  }) {
    return new Promise((resolve3, reject) => {
      const fail = (error) => {
        if (!this.#deadlines.end(pending)) return;
        ended(true);
        reject(error);
      };
      const pending = {
        next: void 0,
        previous: void 0,
        since: performance.now(),
        expire: () => fail(late())
      };
      this.#deadlines.add(pending);
      promise.then((value) => {
        if (!this.#deadlines.end(pending)) return;
        ended(false);
        resolve3(value);
      }, fail);
    });
  }
  #late = () => {
    this.#timeouts++;
    return new chunkEC4YPOZN_cjs.StoreUnavailableError(`no answer within ${this.#options.timeout} ms`);
  };
  #ended = (failed) => {
    this.#pending--;
    if (!failed) return this.#breaker.succeeded();
    if (this.#breaker.failed(performance.now())) this.#announce(true);
    if (this.#breaker.open) this.probe();
  };
  async #probeLoop() {
    const signal = this.#stop.signal;
    let pause = FIRST_PROBE;
    try {
      while (!signal.aborted) {
        await chunkEC4YPOZN_cjs.sleep(pause * (0.75 + Math.random() / 2), { signal });
        pause = Math.min(pause * 2, MAX_PROBE);
        if (await this.#recovered()) return;
      }
    } catch {
    } finally {
      this.#probing = false;
    }
  }
  /** Half-open: one ping; then what was missed; only then is the tier believed again. */
  async #recovered() {
    if (!this.tier.ready) return false;
    const late = () => new chunkEC4YPOZN_cjs.StoreUnavailableError("the probe was not answered");
    const send = (operation) => this.#within(operation(this.tier), late);
    try {
      await send((tier) => tier.ping());
      while (this.journal.size > 0) {
        this.#replaying = this.journal.size;
        const debt = this.journal.take();
        try {
          await this.#options.replay(debt, send);
        } catch (error) {
          this.journal.restore(debt);
          throw error;
        } finally {
          this.#replaying = 0;
        }
      }
    } catch {
      return false;
    }
    if (this.#breaker.open) {
      this.#breaker.close();
      this.#announce(false);
    }
    return true;
  }
  #announce(open) {
    chunkEC4YPOZN_cjs.channels.breaker.publish(() => ({ cache: this.#options.cache, open }));
  }
};
function start(operation, tier) {
  try {
    return operation(tier);
  } catch (error) {
    return Promise.reject(error);
  }
}
var MAGIC = 197;
var VERSION = 2;
var HEAD = 56;
var COMPRESSED = 1;
var ID_OFFSET = 4;
var ID_LENGTH = 8;
function writeFrame(encoded, times, stampsOf, compressAbove, ahead = 0) {
  const squeeze = compressAbove !== false && encoded.payload.length > compressAbove;
  const packed = squeeze ? node_zlib.deflateRawSync(encoded.payload, { level: 1 }) : encoded.payload;
  const compressed = packed.length < encoded.payload.length;
  const payload = compressed ? packed : encoded.payload;
  const stamps = Buffer.from(JSON.stringify(stampsOf));
  const bytes = Buffer.allocUnsafe(HEAD + stamps.length + payload.length);
  bytes[0] = MAGIC;
  bytes[1] = VERSION;
  bytes[2] = encoded.codec;
  bytes[3] = compressed ? COMPRESSED : 0;
  randomBytes(ID_LENGTH).copy(bytes, ID_OFFSET);
  bytes.writeDoubleLE(times.created + ahead, 12);
  bytes.writeDoubleLE(times.freshUntil + ahead, 20);
  bytes.writeDoubleLE(times.swrUntil + ahead, 28);
  bytes.writeDoubleLE(times.staleUntil + ahead, 36);
  bytes.writeUInt32LE(Math.min(Math.round(times.loadMs), 4294967295), 44);
  bytes.writeUInt32LE(stamps.length, 48);
  bytes.writeUInt32LE(payload.length, 52);
  stamps.copy(bytes, HEAD);
  payload.copy(bytes, HEAD + stamps.length);
  return bytes;
}
function readFrame(bytes, maxBytes, ahead = 0) {
  if (bytes.length < HEAD || bytes[0] !== MAGIC) throw new Error("not an entry of this cache");
  if (bytes[1] !== VERSION) throw new Error(`an entry of version ${bytes[1]}`);
  const start2 = HEAD + bytes.readUInt32LE(48);
  if (start2 + bytes.readUInt32LE(52) !== bytes.length) throw new Error("a truncated entry");
  const stamps = readStamps(bytes.toString("utf8", HEAD, start2));
  const payload = bytes.subarray(start2);
  return {
    id: idOf(bytes),
    codec: bytes[2],
    created: timeAt(bytes, 12) - ahead,
    freshUntil: timeAt(bytes, 20) - ahead,
    swrUntil: timeAt(bytes, 28) - ahead,
    staleUntil: timeAt(bytes, 36) - ahead,
    loadMs: bytes.readUInt32LE(44),
    stamps,
    payload: (bytes[3] & COMPRESSED) === 0 ? payload : node_zlib.inflateRawSync(payload, { maxOutputLength: maxBytes })
  };
}
function timeAt(bytes, offset) {
  const time = bytes.readDoubleLE(offset);
  if (!Number.isFinite(time)) throw new Error("an entry with broken times");
  return time;
}
var lastText = "";
var lastStamps = [];
function readStamps(text) {
  if (text === lastText) return lastStamps;
  const stamps = JSON.parse(text);
  if (!Array.isArray(stamps) || stamps.length % 2 !== 0 || stamps.some((stamp) => typeof stamp !== "string")) {
    throw new Error("an entry with broken stamps");
  }
  lastText = text;
  lastStamps = stamps;
  return stamps;
}
function idOf(bytes) {
  return bytes.toString("latin1", ID_OFFSET, ID_OFFSET + ID_LENGTH);
}

// src/tiers/second-tier.ts
var NONE = [];
var NOTHING_SEEN = new Epochs([], []);
var SecondTier = class {
  /** One for each server that fails by itself. */
  guards;
  #of;
  #options;
  /** @param of the index of the guard of a key */
  constructor(guards, of, options) {
    this.guards = guards;
    this.#of = of;
    this.#options = options;
  }
  /** Other nodes' changes become known at once. */
  get hasBus() {
    return this.guards.every(({ tier }) => tier.listen !== void 0);
  }
  guardOf(key) {
    return this.guards.length === 1 ? this.guards[0] : this.guards[this.#of(key)];
  }
  /** Milliseconds since 1970 by the clock of the server of a key, as far as it is known. */
  now(key) {
    const { tier } = this.guardOf(key);
    return tier.now === void 0 ? this.#options.clock.now() : tier.now();
  }
  /** One entry with the epochs that its tags should have, in one round trip. */
  look(key, tags) {
    const names = epochNames(tags);
    const guard = this.guardOf(key);
    return guard.run((tier) => tier.read(key, names)).then(
      ({ frame, epochs }) => this.#verified(guard, this.#judge(guard, frame, new Epochs(names, epochs)))
    );
  }
  /** Entries by their keys, in one round trip per server; those whose server is away are missing. */
  async lookMany(keys) {
    const found = /* @__PURE__ */ new Map();
    const parts = [...this.split(keys)].map(async ([guard, part]) => {
      try {
        if (guard.opening !== void 0) await guard.opening;
        const names = epochNames([]);
        const { frames, epochs } = await guard.run((tier) => tier.readMany(part, names));
        const seen = new Epochs(names, epochs);
        await Promise.all(
          part.map(async (key, i) => {
            found.set(key, await this.#verified(guard, this.#judge(guard, frames[i], seen)));
          })
        );
      } catch (error) {
        this.#reject("store", error);
      }
    });
    await Promise.all(parts);
    return found;
  }
  /** The keys of each server. */
  split(keys) {
    const parts = /* @__PURE__ */ new Map();
    for (const key of keys) {
      const guard = this.guardOf(key);
      const part = parts.get(guard);
      if (part === void 0) parts.set(guard, [key]);
      else part.push(key);
    }
    return parts;
  }
  /** Has the listener told of other nodes' changes, if the store can. */
  listen(listener) {
    for (const { tier } of this.guards) tier.listen?.(listener);
  }
  async close() {
    for (const guard of this.guards) guard.close();
    await Promise.all(this.guards.map(({ tier }) => tier.close()));
  }
  /** The entry of a frame; `undefined` when its payload cannot be read. */
  unpack(frame, clock, share) {
    try {
      const value = decode(frame.codec, frame.payload);
      const shape = frame.codec === JSON_CODEC ? plainShape(frame.payload.length * 2 + 64) : shapeOf(value);
      const { id, stamps } = frame;
      return hold({ value, shape, known: false, tags: tagsOf(stamps), id, clock }, frame, share);
    } catch (error) {
      this.#reject("corrupt", error);
      return void 0;
    }
  }
  /** Whether a value of this size may be written. */
  admits({ payload }) {
    const fits = payload.length <= this.#options.maxValueBytes;
    if (!fits) this.#reject("oversize", new RangeError(`An entry of ${payload.length} bytes is too large`));
    return fits;
  }
  /**
   * Asks for the right to load, and makes the epochs that are missing, so that all are known before the load begins.
   * The lease may be granted although the answer is late: then nobody holds it, and it runs out.
   */
  async acquire(key, token, milliseconds, { seen, epochs }) {
    const missing = epochs.missing();
    const [acquired, made] = await this.guardOf(key).run(
      (tier) => Promise.all([
        tier.acquire(key, token, milliseconds, seen),
        missing.length === 0 ? [] : tier.epochs(missing)
      ])
    );
    if (typeof acquired === "string") return acquired;
    return {
      lease: acquired,
      epochs: epochs.with(
        missing,
        made.map(({ value }) => value)
      )
    };
  }
  /**
   * Writes the result of a load, and ends its lease.
   *
   * @param begun when the load began, by `performance.now()`; a tag that only the loader knew must be older than that
   * @returns the id of the entry; `undefined` when the key or one of its tags was invalidated meanwhile
   */
  async commit({ lease, epochs }, draft, begun, message) {
    const guard = this.guardOf(lease.key);
    const stamps = await this.#stamps(guard, draft.tags, epochs, begun);
    if (stamps === void 0) {
      await guard.run((tier) => tier.release(lease));
      return void 0;
    }
    const bytes = this.#pack(guard, draft, stamps);
    const ok = await guard.run((tier) => tier.commit(lease, bytes, lifetime2(draft), message));
    return ok ? idOf(bytes) : void 0;
  }
  /** Writes in any case. Returns the id of the entry. */
  async write(key, draft, message) {
    const guard = this.guardOf(key);
    const stamps = await this.#stamps(guard, draft.tags, NOTHING_SEEN, Number.POSITIVE_INFINITY);
    const bytes = this.#pack(guard, draft, stamps);
    await guard.run((tier) => tier.write(key, bytes, lifetime2(draft), message));
    return idOf(bytes);
  }
  #judge(guard, bytes, epochs) {
    if (bytes === void 0) return { seen: "", frame: void 0, epochs, unseen: NONE };
    try {
      const frame = readFrame(bytes, this.#options.maxValueBytes, this.#ahead(guard));
      const unseen = epochs.unseen(frame.stamps);
      return unseen === void 0 ? { seen: frame.id, frame: void 0, epochs, unseen: NONE } : { seen: frame.id, frame, epochs, unseen };
    } catch (error) {
      this.#reject("corrupt", error);
      return { seen: idOf(bytes), frame: void 0, epochs, unseen: NONE };
    }
  }
  #verified(guard, look) {
    return look.unseen.length === 0 ? look : this.#verify(guard, look);
  }
  /** Looks at the epochs that only the entry could name: tags that its loader set. */
  async #verify(guard, look) {
    const { frame, epochs, unseen } = look;
    const found = await guard.run((tier) => tier.epochs(unseen));
    const all = epochs.with(
      unseen,
      found.map(({ value }) => value)
    );
    return all.unseen(frame.stamps) === void 0 ? { ...look, frame: void 0 } : look;
  }
  async #stamps(guard, tags, before, begun) {
    const names = epochNames(tags);
    const unknown = names.filter((name) => before.of(name) === void 0);
    const found = unknown.length === 0 ? [] : await guard.run((tier) => tier.epochs(unknown));
    const elapsed = performance.now() - begun;
    if (found.some((epoch) => epoch.age <= elapsed)) return void 0;
    const all = before.with(
      unknown,
      found.map(({ value }) => value)
    );
    return names.flatMap((name) => [name, all.of(name)]);
  }
  #pack(guard, { encoded, times }, stamps) {
    return writeFrame(encoded, times, stamps, this.#options.compressAbove, this.#ahead(guard));
  }
  /** Milliseconds that the clock of a server is ahead of the cache's. */
  #ahead({ tier }) {
    return tier.now === void 0 ? 0 : tier.now() - this.#options.clock.now();
  }
  #reject(reason, error) {
    chunkEC4YPOZN_cjs.channels.reject.publish(() => ({ cache: this.#options.name, reason, error }));
  }
};
function lifetime2({ times: { created, staleUntil } }) {
  return Math.max(1, Math.ceil(staleUntil - created));
}

// src/tiers/parts.ts
var TTL_WITHOUT_BUS = 5e3;
function assemble(options, replay) {
  const bus = new Bus(node_crypto.randomUUID());
  const fence = new Fence();
  const opened = options.store?.open(options.name);
  const second = opened && secondTier("tiers" in opened ? opened : { tiers: [opened], of: () => 0 }, options, replay);
  const hasBus = second?.hasBus === true;
  const ownTtl = second === void 0 || hasBus ? Number.POSITIVE_INFINITY : TTL_WITHOUT_BUS;
  const { l1 } = options;
  const first = l1 && {
    maxBytes: l1.maxBytes,
    maxEntryBytes: l1.maxEntryBytes,
    ttl: l1.ttl === void 0 ? ownTtl : l1.ttl === false ? Number.POSITIVE_INFINITY : l1.ttl,
    early: options.earlyRefresh !== false,
    informed: () => !hasBus || bus.healthy
  };
  return {
    options,
    bus,
    fence,
    first: new FirstTier(first),
    second,
    failures: new Failures(fence),
    counters: new Counters()
  };
}
function secondTier(shards, options, replay) {
  const { name: cache, storeTimeout: timeout, maxPending, maxQueuedInvalidations } = options;
  const guards = shards.tiers.map(
    (tier) => new Guard({ cache, tier, timeout, maxPending, maxQueuedInvalidations, replay })
  );
  return new SecondTier(guards, (key) => shards.of(key), options);
}

// src/cache.ts
var Cache = class {
  name;
  #options;
  #parts;
  #first;
  #fence;
  #flights;
  #invalidation;
  #resolve;
  #closed = false;
  /** @throws TypeError | RangeError `ERR_CACHE_OPTION` naming the option and what is allowed */
  constructor(options = {}) {
    this.#options = resolveCacheOptions(options);
    this.name = this.#options.name;
    this.#resolve = callResolver(this.#options);
    this.#parts = assemble(this.#options, (debt, send) => this.#invalidation.replay(debt, send));
    this.#fence = this.#parts.fence;
    this.#first = this.#parts.first;
    this.#flights = new Flights(this.#parts);
    this.#invalidation = new Invalidation(this.#parts, this.#flights);
    this.#parts.second?.listen(this.#invalidation);
  }
  /**
   * The value of the key; when there is none, what the loader returns, which is stored (unless it is `undefined`).
   *
   * @throws whatever the loader throws, unchanged, for every caller who waits for it
   * @throws LoadTimeoutError when it takes longer than `loadTimeout`
   * @throws ReentrantLoadError when it waits for itself
   * @throws the reason of `options.signal` when that aborts
   */
  getOrSet(key, loader, options) {
    try {
      const text = chunkEC4YPOZN_cjs.encodeKey(key);
      const held = this.#first.get(text);
      if (held !== void 0 && held.clock === this.#fence.clock && this.#options.clock.now() < held.hotUntil && options?.refresh !== true) {
        return this.#hit(held);
      }
      return this.#find(text, loader, options);
    } catch (error) {
      return Promise.reject(error);
    }
  }
  /**
   * The fresh value of the key if this process holds it: at once, without a promise and without a look at the store.
   * `undefined` says nothing about the store; `get` does.
   */
  peek(key) {
    const held = this.#first.get(chunkEC4YPOZN_cjs.encodeKey(key));
    if (held === void 0 || held.clock !== this.#fence.clock || this.#now() >= held.hotUntil)
      return void 0;
    this.#countHit();
    return handOut(held);
  }
  /** The fresh value of the key, or `undefined`. */
  async get(key) {
    const [value] = await this.getMany([key]);
    return value;
  }
  /** The fresh values of the keys in their order, `undefined` for those that are not there, in one round trip. */
  async getMany(keys) {
    this.#admit();
    const values = new Array(keys.length);
    const open = [];
    for (const [at, given] of keys.entries()) {
      const key = chunkEC4YPOZN_cjs.encodeKey(given);
      const held = this.#trusted(key, this.#valid(key), this.#now());
      if (held !== void 0 && this.#now() < held.freshUntil) values[at] = await this.#hit(held);
      else open.push({ at, key });
    }
    if (open.length > 0) await this.#lookUp(open, values);
    return values;
  }
  /**
   * Stores a value. It wins over every load that began before. `undefined`, and a `ttl` of 0 or less, delete the key.
   *
   * @throws UncacheableValueError for functions, symbols and class instances
   */
  async set(key, value, options) {
    this.#admit();
    const text = chunkEC4YPOZN_cjs.encodeKey(key);
    const call = this.#resolve(options);
    if (value === void 0 || call.ttl === 0) return this.#invalidation.keys([text]);
    const { second, bus } = this.#parts;
    const shape = shapeOf(value);
    const encoded = second && encode(value, shape);
    const times = timesOf(call.ttl, call, this.#now(), this.#options.jitter, 0);
    const material = { value, shape, known: true, tags: call.tags, id: "", clock: 0 };
    const held = hold(material, times, call.share);
    if (encoded !== void 0 && !second?.admits(encoded)) return this.#invalidation.keys([text]);
    this.#invalidation.touch(text);
    const mark = this.#fence.mark(text);
    if (encoded !== void 0) {
      const message = bus.write({ kind: "keys", names: [text] });
      held.id = await this.#write(text, { encoded, tags: call.tags, times }, message);
    }
    const last = this.#fence.holds(text, mark, call.tags);
    this.#invalidation.touch(text);
    if (last) this.#first.keep(text, held, this.#fence.clock, this.#now());
  }
  /**
   * Milliseconds since 1970 by the clock that the times of the key's entry are by: that of the store, so that nodes whose
   * clocks differ agree, as far as it is known; without a store that of this cache.
   */
  now(key) {
    const { second } = this.#parts;
    return second === void 0 ? this.#now() : second.now(chunkEC4YPOZN_cjs.encodeKey(key));
  }
  /** Deletes the key on all nodes. A load that began before is not stored, and callers after this begin a new one. */
  async delete(key) {
    this.#admit();
    return this.#invalidation.keys([chunkEC4YPOZN_cjs.encodeKey(key)]);
  }
  async deleteMany(keys) {
    this.#admit();
    if (keys.length > 0) await this.#invalidation.keys(keys.map(chunkEC4YPOZN_cjs.encodeKey));
  }
  /** Invalidates all entries with the tag, or with any of the tags: one command each, however many entries. */
  async deleteByTag(tags) {
    this.#admit();
    const list2 = resolveTags(typeof tags === "string" ? [tags] : tags);
    if (list2.length > 0) await this.#invalidation.tags(list2);
  }
  /** Invalidates everything in this cache's namespace, in one command. */
  async clear() {
    this.#admit();
    return this.#invalidation.everything();
  }
  /** A function that answers from the cache: `const user = cache.wrap(loadUser, { key: (id) => ['user', id] })`. */
  wrap(fn, options) {
    const { key, ...rest } = options;
    const call = Object.freeze(rest);
    this.#resolve(call);
    return (...args) => this.getOrSet(key(...args), () => fn(...args), call);
  }
  stats() {
    return statsOf(this.#parts, this.#flights.size);
  }
  [Symbol.asyncDispose]() {
    return this.close();
  }
  /** Stops admitting, waits for loads under way (5 s by default), closes what it opened. The store's client is yours. */
  close = chunkEC4YPOZN_cjs.closeOnce(async (options) => {
    this.#closed = true;
    this.#first.clear();
    await this.#flights.close(options, new chunkEC4YPOZN_cjs.CacheClosedError());
    this.#first.clear();
    await this.#parts.second?.close();
  });
  #find(key, loader, options) {
    this.#admit();
    const call = this.#resolve(options);
    const now = this.#now();
    const failure = this.#parts.failures.of(key);
    const pausing = failure !== void 0 && now < failure.retryAt;
    const anew = options?.refresh === true;
    const valid = this.#valid(key);
    const held = anew ? void 0 : this.#trusted(key, valid, now);
    if (held !== void 0) {
      switch (freshnessOf(held, call, now, this.#options.earlyRefresh)) {
        case "fresh":
          return this.#hit(held);
        case "early":
          if (!pausing) this.#flights.refresh(key, loader, call, held, held.id);
          return this.#hit(held);
        case "revalidate":
          if (!pausing) this.#flights.refresh(key, loader, call, held);
          return this.#hitStale(held, "revalidate");
        case "failover":
          if (pausing) return this.#hitStale(held, "error");
      }
    }
    if (failure !== void 0 && now < failure.until && !anew) return Promise.reject(failure.error);
    const again = () => this.#find(key, loader, options);
    return this.#flights.join({ key, loader, call, signal: options?.signal, again, anew }, valid);
  }
  /** An entry that was not invalidated as far as this process knows. */
  #valid(key) {
    const held = this.#first.get(key);
    return held !== void 0 && this.#fence.current(held.clock, held.tags) ? held : void 0;
  }
  /** A valid entry, if it may be used without a look at the store. */
  #trusted(key, valid, now) {
    if (valid === void 0) return void 0;
    const guard = this.#parts.second?.guardOf(key);
    if (guard !== void 0 && !guard.usable) this.#first.trust(valid, this.#fence.clock, now);
    else if (guard !== void 0 && (now >= valid.verifyAt || this.#fence.doubts(valid.clock)))
      return void 0;
    else valid.clock = this.#fence.clock;
    return valid;
  }
  async #lookUp(open, values) {
    const { second, counters } = this.#parts;
    let found = 0;
    const marks = open.map(({ key }) => this.#fence.mark(key));
    const looks = await second?.lookMany(open.map(({ key }) => key));
    const { share } = this.#resolve(void 0);
    for (const [i, { at, key }] of open.entries()) {
      const frame = looks?.get(key)?.frame;
      if (frame === void 0 || this.#now() >= frame.freshUntil) continue;
      const known = this.#valid(key);
      const held = known?.id === frame.id ? known : second.unpack(frame, marks[i].clock, share);
      if (held === void 0) continue;
      if (this.#fence.holds(key, marks[i], held.tags)) {
        this.#first.keep(key, held, this.#fence.clock, this.#now());
      }
      values[at] = handOver(held);
      found++;
    }
    counters.l2Hits += found;
    counters.misses += open.length - found;
    if (found > 0) chunkEC4YPOZN_cjs.channels.hit.publish(() => ({ cache: this.name, tier: "l2", stale: false }));
    if (found < open.length) chunkEC4YPOZN_cjs.channels.miss.publish(() => ({ cache: this.name }));
  }
  /** The id of the entry; `''` when it was not written: then whatever stands there must go, as soon as possible. */
  async #write(key, draft, message) {
    const guard = this.#parts.second.guardOf(key);
    try {
      if (guard.opening !== void 0) await guard.opening;
      return await this.#parts.second.write(key, draft, message);
    } catch (error) {
      guard.journal.key(key);
      guard.probe();
      this.#storeFailed(error);
      return "";
    }
  }
  #hit(held) {
    this.#countHit();
    return promiseOf(held);
  }
  #countHit() {
    this.#parts.counters.l1Hits++;
    if (chunkEC4YPOZN_cjs.channels.hit.active) chunkEC4YPOZN_cjs.channels.hit.publish(() => ({ cache: this.name, tier: "l1", stale: false }));
  }
  #hitStale(held, reason) {
    this.#parts.counters.stale++;
    chunkEC4YPOZN_cjs.channels.hit.publish(() => ({ cache: this.name, tier: "l1", stale: true }));
    chunkEC4YPOZN_cjs.channels.stale.publish(() => ({ cache: this.name, reason }));
    return promiseOf(held);
  }
  #storeFailed(error) {
    chunkEC4YPOZN_cjs.channels.reject.publish(() => ({ cache: this.name, reason: "store", error }));
  }
  #now() {
    return this.#options.clock.now();
  }
  #admit() {
    if (this.#closed) throw new chunkEC4YPOZN_cjs.CacheClosedError();
  }
};

// src/stores/server-clock.ts
var EVERY = 6e4;
var MAX_DELAY = 1e3;
var ServerClock = class {
  #ask;
  #precision;
  /** The server's time when the steady clock stood at 0; `undefined`: not known, or the same as here. */
  #origin;
  #asked = Number.NEGATIVE_INFINITY;
  /**
   * @param ask the server's time in milliseconds since 1970
   * @param precision of the answer: a difference of less than so many milliseconds is none
   */
  constructor(ask, precision = 0) {
    this.#ask = ask;
    this.#precision = precision;
  }
  /** Milliseconds since 1970. */
  now() {
    const steady = performance.now();
    if (steady - this.#asked > EVERY) this.measure();
    return this.#origin === void 0 ? Date.now() : this.#origin + steady;
  }
  /** Asks anew: the connection may be to another server now. */
  measure() {
    const sent = this.#asked = performance.now();
    this.#ask().then(
      (time) => {
        const received = performance.now();
        if (received - sent > MAX_DELAY || !Number.isFinite(time)) return;
        const same = Math.abs(time - Date.now()) < this.#precision;
        this.#origin = same ? void 0 : time - (sent + received) / 2;
      },
      () => {
      }
      // asked again later; what was known still stands
    );
  }
};
var READABLE = 64;
function storeKey(key, maxBytes) {
  if (/^[\w.:/@,;=+*'"()[\]-]*$/.test(key) && key.length <= maxBytes) return key;
  const escaped = new RegExp("\\p{Surrogate}", "u").test(key) ? void 0 : encodeURIComponent(key);
  if (escaped !== void 0 && escaped.length <= maxBytes) return escaped;
  const digest = node_crypto.createHash("sha256").update(Buffer.from(key, "utf16le")).digest("base64url");
  return `${(escaped ?? "").slice(0, READABLE)}%%${digest}`;
}

// src/stores/memcached/meta-parser.ts
var MetaProtocolError = class extends Error {
};
var CRLF = Buffer.from("\r\n");
var MAX_LINE = 2048;
var MAX_VALUE = 128 * 1024 ** 2;
var CODES = /* @__PURE__ */ new Set([
  "HD",
  "VA",
  "EN",
  "NS",
  "EX",
  "NF",
  "MN",
  "ERROR",
  "CLIENT_ERROR",
  "SERVER_ERROR"
]);
var MetaParser = class {
  #chunks = [];
  #length = 0;
  /** Bytes without which there is no point in looking again. */
  #needed = 0;
  /**
   * Takes the next bytes and reports each reply that is complete.
   *
   * @throws MetaProtocolError when the bytes are not of the protocol, or a line or a value is too long
   */
  push(chunk, onReply) {
    this.#chunks.push(chunk);
    this.#length += chunk.length;
    if (this.#length < this.#needed) return;
    const bytes = this.#chunks.length === 1 ? chunk : Buffer.concat(this.#chunks, this.#length);
    this.#needed = 0;
    let at = 0;
    for (; ; ) {
      const end = lineEnd(bytes, at);
      if (end === -1) break;
      const [code = "", ...words] = bytes.toString("latin1", at, end).split(" ");
      if (!CODES.has(code)) throw new MetaProtocolError("an unknown code");
      let next2 = end + CRLF.length;
      let data;
      if (code === "VA") {
        const size2 = sizeIn(words.shift());
        const dataEnd = next2 + size2;
        if (dataEnd + CRLF.length > bytes.length) {
          this.#needed = dataEnd + CRLF.length - at;
          break;
        }
        if (bytes[dataEnd] !== CRLF[0] || bytes[dataEnd + 1] !== CRLF[1]) {
          throw new MetaProtocolError("a value without its end");
        }
        data = bytes.subarray(next2, dataEnd);
        next2 = dataEnd + CRLF.length;
      }
      at = next2;
      onReply({ code, flags: words, data });
    }
    const rest = bytes.subarray(at);
    this.#chunks = rest.length === 0 ? [] : [rest];
    this.#length = rest.length;
  }
};
function lineEnd(bytes, start2) {
  const end = bytes.subarray(start2, start2 + MAX_LINE + CRLF.length).indexOf(CRLF);
  if (end === -1 && bytes.length - start2 >= MAX_LINE + CRLF.length) {
    throw new MetaProtocolError("a line without end");
  }
  return end === -1 ? -1 : start2 + end;
}
function sizeIn(word) {
  const size2 = word !== void 0 && /^\d{1,9}$/.test(word) ? Number(word) : Number.NaN;
  if (!(size2 <= MAX_VALUE)) throw new MetaProtocolError("a value of an impossible size");
  return size2;
}

// src/stores/memcached/memcached-connection.ts
var CRLF2 = Buffer.from("\r\n");
var FIRST_PAUSE2 = 50;
var MAX_PAUSE2 = 1e3;
var SILENCE = 2e3;
var MAX_PENDING = 1e5;
var MemcachedConnection = class {
  #host;
  #port;
  #onReady;
  #socket;
  #retry;
  #pause = FIRST_PAUSE2;
  #pending = [];
  #parser = new MetaParser();
  #closed = false;
  ready = false;
  constructor(host, port, onReady) {
    this.#host = host;
    this.#port = port;
    this.#onReady = onReady;
    this.#connect();
  }
  /** @throws StoreUnavailableError when it is not connected, or loses the connection before the answer */
  send(line, data) {
    const socket = this.#socket;
    if (socket === void 0 || !this.ready) {
      return Promise.reject(
        new chunkEC4YPOZN_cjs.StoreUnavailableError(`Memcached ${this.#host}:${this.#port} is not connected`)
      );
    }
    if (this.#pending.length >= MAX_PENDING) {
      socket.destroy();
      return Promise.reject(this.#lost());
    }
    return new Promise((resolve3, reject) => {
      this.#pending.push({ resolve: resolve3, reject });
      if (data === void 0) socket.write(`${line}\r
`);
      else socket.write(Buffer.concat([Buffer.from(`${line}\r
`), data, CRLF2]));
    });
  }
  close() {
    this.#closed = true;
    clearTimeout(this.#retry);
    this.#drop();
  }
  #connect() {
    const socket = node_net.connect({ host: this.#host, port: this.#port, noDelay: true, timeout: SILENCE });
    this.#socket = socket;
    socket.unref();
    socket.on("connect", () => {
      this.ready = true;
      this.#onReady();
    });
    socket.on("data", (chunk) => this.#receive(socket, chunk));
    socket.on("timeout", () => {
      if (this.#pending.length > 0 || !this.ready) socket.destroy();
    });
    socket.on("error", () => {
    });
    socket.on("close", () => {
      this.#drop();
      if (this.#closed) return;
      this.#retry = setTimeout(() => this.#connect(), this.#pause * (0.75 + Math.random() / 2));
      this.#retry.unref();
      this.#pause = Math.min(this.#pause * 2, MAX_PAUSE2);
    });
  }
  #drop() {
    this.ready = false;
    this.#socket?.destroy();
    this.#socket = void 0;
    this.#parser = new MetaParser();
    const pending = this.#pending;
    this.#pending = [];
    for (const { reject } of pending) reject(this.#lost());
  }
  #lost() {
    return new chunkEC4YPOZN_cjs.StoreUnavailableError(`Memcached ${this.#host}:${this.#port} has closed the connection`);
  }
  /** A server that does not speak the protocol loses its connection; the pause before the next one grows. */
  #receive(socket, chunk) {
    try {
      this.#parser.push(chunk, this.#settle);
    } catch {
      socket.destroy();
    }
  }
  #settle = ({ code, flags, data }) => {
    const pending = this.#pending.shift();
    if (pending === void 0) throw new MetaProtocolError("an answer to no question");
    this.#pause = FIRST_PAUSE2;
    if (code.endsWith("ERROR")) pending.reject(new MemcachedError(`${code} ${flags.join(" ")}`.trim()));
    else pending.resolve({ code, flags, data });
  };
};
var MemcachedError = class extends Error {
};

// src/stores/memcached/ring.ts
var POINTS = 160;
var Ring = class {
  #points;
  constructor(names) {
    this.#points = names.flatMap(
      (name, server) => Array.from({ length: POINTS }, (_, i) => ({ at: place(`${name}#${i}`), server }))
    ).sort((a, b) => a.at - b.at);
  }
  /** The index of the server of a key. */
  serverOf(key) {
    const at = place(key);
    let low = 0;
    let high = this.#points.length;
    while (low < high) {
      const middle = low + high >>> 1;
      if (this.#points[middle].at < at) low = middle + 1;
      else high = middle;
    }
    return this.#points[low % this.#points.length].server;
  }
};
function place(text) {
  let hash = 2166136261;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 16777619);
  hash = Math.imul(hash ^ hash >>> 16, 2246822507);
  hash = Math.imul(hash ^ hash >>> 13, 3266489909);
  return (hash ^ hash >>> 16) >>> 0;
}

// src/stores/memcached/memcached-store.ts
var resolveServers = chunkEC4YPOZN_cjs.defineOptions("cache", "memcachedStore", {
  servers: chunkEC4YPOZN_cjs.list(chunkEC4YPOZN_cjs.string({ pattern: /^\S+:\d{1,5}$/, like: "an address like '10.0.0.1:11211'" }), { min: 1 })
});
var resolve = chunkEC4YPOZN_cjs.defineOptions("cache", "memcachedStore", { keyPrefix: keyPrefix() }, { keyPrefix: "" });
function memcachedStore(servers2, options) {
  const { servers: addresses } = resolveServers({
    servers: typeof servers2 === "string" ? [servers2] : servers2
  });
  const { keyPrefix: keyPrefix2 } = resolve(options);
  const ring = new Ring(addresses);
  return {
    kind: "memcached",
    open: (namespace) => ({
      tiers: addresses.map((address) => new MemcachedTier(address, `${keyPrefix2}${namespace}`)),
      of: (key) => ring.serverOf(key)
    })
  };
}
var MAX_KEY = 150;
var MONTH = 30 * 86400;
var EPOCH_LIFE = MONTH;
var CLOCK_PRECISION = 3e3;
var MARK = 30;
var TOKEN_LENGTH = 22;
var LEASE_LENGTH = 1 + 8 + TOKEN_LENGTH;
var MAX_HELD_BYTES = 64 * 1024 ** 2;
var HOLDING_BYTES = 200;
var MemcachedTier = class {
  #connection;
  #namespace;
  #clock;
  /** Bounded in bytes, too, since each may hold the entry that it stands before. One that is forgotten stores nothing. */
  #holdings = new lruCache.LRUCache({
    max: 1e4,
    maxSize: MAX_HELD_BYTES,
    sizeCalculation: ({ frame }) => HOLDING_BYTES + (frame?.length ?? 0)
  });
  #onReady = () => {
  };
  constructor(address, namespace) {
    this.#namespace = namespace;
    const colon = address.lastIndexOf(":");
    const host = address.slice(0, colon).replace(/^\[|\]$/g, "");
    this.#connection = new MemcachedConnection(host, Number(address.slice(colon + 1)), () => {
      this.#clock.measure();
      this.#onReady();
    });
    this.#clock = new ServerClock(() => this.#time(), CLOCK_PRECISION);
  }
  get ready() {
    return this.#connection.ready;
  }
  opened() {
    if (this.ready) return Promise.resolve();
    return new Promise((resolve3) => {
      this.#onReady = resolve3;
    });
  }
  async read(key, epochs) {
    const { frames, epochs: found } = await this.readMany([key], epochs);
    return { frame: frames[0], epochs: found };
  }
  async readMany(keys, epochs) {
    const names = [...keys.map((key) => this.#entry(key)), ...epochs.map((name) => this.#epoch(name))];
    const replies = await Promise.all(names.map((name) => this.#send("mg", name, "v")));
    return {
      frames: replies.slice(0, keys.length).map(({ data }) => frameOf(data)),
      epochs: replies.slice(keys.length).map(({ data }) => data?.toString())
    };
  }
  epochs(names) {
    return Promise.all(names.map((name) => this.#epochOf(name)));
  }
  async acquire(key, token, milliseconds, seen) {
    const name = this.#entry(key);
    const vivify = seen === "" ? ` N${seconds(milliseconds)}` : "";
    const reply = await this.#send("mg", name, `v c t${vivify}`);
    const { data = Buffer.alloc(0) } = reply;
    const cas = casOf(reply);
    if (reply.flags.includes("W")) return this.#held(key, token, { cas, frame: void 0, expires: 0 });
    const frame = frameOf(data);
    if ((frame === void 0 ? "" : idOf(frame)) !== seen) return "changed";
    if (frame === void 0 || data[0] === MARK && data.readDoubleBE(1) > this.now()) return "busy";
    const left = secondsLeft(reply);
    const holding = { cas, frame, expires: Date.now() + (left < 0 ? MONTH : left) * 1e3 };
    return await this.#mark(key, token, holding, milliseconds) ? { key, token } : "changed";
  }
  async renew({ key, token }, milliseconds) {
    const holding = this.#holdings.get(token);
    return holding !== void 0 && this.#mark(key, token, holding, milliseconds);
  }
  async release({ key, token }) {
    const holding = this.#holdings.get(token);
    if (holding === void 0) return;
    this.#holdings.delete(token);
    const { cas, frame, expires } = holding;
    if (frame === void 0) await this.#send("md", this.#entry(key), `C${cas}`);
    else await this.#set(key, frame, expires - Date.now(), ` C${cas}`);
  }
  async commit({ key, token }, frame, milliseconds) {
    const holding = this.#holdings.get(token);
    if (holding === void 0) return false;
    this.#holdings.delete(token);
    return (await this.#set(key, frame, milliseconds, ` C${holding.cas}`)).code === "HD";
  }
  async write(key, frame, milliseconds) {
    await this.#set(key, frame, milliseconds);
  }
  async remove(keys) {
    await Promise.all(keys.map((key) => this.#send("md", this.#entry(key), "")));
  }
  async bump(name) {
    await this.#send("ms", this.#epoch(name), `T${EPOCH_LIFE}`, Buffer.from(node_crypto.randomUUID()));
  }
  now() {
    return this.#clock.now();
  }
  async ping() {
    await this.#connection.send("mn");
  }
  async close() {
    this.#connection.close();
  }
  /** There is no command for it: but what is left until a date that is known tells. */
  async #time() {
    const name = `${this.#namespace}:clock`;
    const date = Math.floor(Date.now() / 1e3) + 2 * MONTH;
    const [, reply] = await Promise.all([
      this.#send("ms", name, `T${date}`, Buffer.alloc(0)),
      this.#send("mg", name, "t")
    ]);
    const left = secondsLeft(reply);
    if (left <= 0) throw new MemcachedError("its time is not to be had");
    return (date - left) * 1e3;
  }
  async #epochOf(name) {
    for (let attempt = 0; attempt < 3; attempt++) {
      const reply = await this.#send("mg", this.#epoch(name), "v t");
      if (reply.data !== void 0) {
        const age = Math.max(0, EPOCH_LIFE - secondsLeft(reply) - 2) * 1e3;
        return { value: reply.data.toString(), age };
      }
      const value = node_crypto.randomUUID();
      const made = await this.#send("ms", this.#epoch(name), `T${EPOCH_LIFE} ME`, Buffer.from(value));
      if (made.code === "HD") return { value, age: Number.POSITIVE_INFINITY };
    }
    throw new MemcachedError("an epoch could be neither read nor made");
  }
  /** Writes the lease, in place of the item whose number is known. */
  async #mark(key, token, { cas, frame, expires }, milliseconds) {
    let value = Buffer.alloc(0);
    if (frame !== void 0) {
      value = Buffer.alloc(LEASE_LENGTH + frame.length);
      value[0] = MARK;
      value.writeDoubleBE(this.now() + milliseconds, 1);
      value.write(token, 9, TOKEN_LENGTH, "latin1");
      frame.copy(value, LEASE_LENGTH);
    }
    const life = frame === void 0 ? milliseconds : expires - Date.now();
    const reply = await this.#set(key, value, life, ` c C${cas}`);
    if (reply.code !== "HD") return false;
    this.#held(key, token, { cas: casOf(reply), frame, expires });
    return true;
  }
  #held(key, token, holding) {
    this.#holdings.set(token, holding);
    return { key, token };
  }
  async #set(key, value, milliseconds, flags = "") {
    const name = this.#entry(key);
    try {
      return await this.#send("ms", name, `T${seconds(milliseconds)}${flags}`, value);
    } catch (error) {
      if (!(error instanceof MemcachedError) || !error.message.includes("too large")) throw error;
      await this.#send("md", name, "");
      return { code: "HD", flags: [], data: void 0 };
    }
  }
  #send(command, key, flags, data) {
    const size2 = data === void 0 ? "" : ` ${data.length}`;
    return this.#connection.send(`${command} ${key}${size2} ${flags}`.trimEnd(), data);
  }
  #entry(key) {
    return `${this.#namespace}:entry:${storeKey(key, MAX_KEY)}`;
  }
  #epoch(name) {
    return `${this.#namespace}:epoch:${storeKey(name, MAX_KEY)}`;
  }
};
function frameOf(data) {
  if (data === void 0 || data.length === 0) return void 0;
  return data[0] === MARK ? data.subarray(LEASE_LENGTH) : data;
}
function casOf(reply) {
  return digitsOf(reply, /^c(\d{1,20})$/);
}
function secondsLeft(reply) {
  return Number(digitsOf(reply, /^t(-1|\d{1,10})$/));
}
function digitsOf({ flags }, pattern) {
  for (const flag of flags) {
    const [, digits] = pattern.exec(flag) ?? [];
    if (digits !== void 0) return digits;
  }
  throw new MemcachedError("an answer without what was asked for");
}
function seconds(milliseconds) {
  const whole = Math.max(1, Math.ceil(milliseconds / 1e3) + 1);
  return whole > MONTH ? Math.floor(Date.now() / 1e3) + whole : whole;
}
function keyPrefix() {
  return (value) => {
    if (typeof value === "string" && /^[\w.:-]{0,20}$/.test(value)) return value;
    throw chunkEC4YPOZN_cjs.misuse(
      TypeError,
      "ERR_CACHE_OPTION",
      'memcachedStore option "keyPrefix" must be up to 20 letters, digits and _ . : -'
    );
  };
}
function memoryStore({
  maxBytes = 64 * 1024 ** 2,
  clock = chunkEC4YPOZN_cjs.wallClock
} = {}) {
  const namespaces = /* @__PURE__ */ new Map();
  return {
    kind: "memory",
    open(name) {
      let namespace = namespaces.get(name);
      if (namespace === void 0) namespaces.set(name, namespace = new MemoryNamespace(maxBytes, clock));
      return new MemoryTier(namespace);
    }
  };
}
var MAX_NAMES = 1e5;
var MemoryNamespace = class {
  items;
  /** One that is forgotten too early stores nothing. */
  leases = new lruCache.LRUCache({
    max: MAX_NAMES
  });
  epochs;
  listeners = /* @__PURE__ */ new Set();
  clock;
  /** When the newest of the epochs that are forgotten was made: an epoch that seems new may have been made then. */
  #forgotten = Number.NEGATIVE_INFINITY;
  constructor(maxBytes, clock) {
    this.items = new lruCache.LRUCache({ maxSize: maxBytes });
    this.epochs = new lruCache.LRUCache({
      max: MAX_NAMES,
      dispose: ({ made }, _name, reason) => {
        if (reason === "evict") this.#forgotten = Math.max(this.#forgotten, made);
      }
    });
    this.clock = clock;
  }
  /** Milliseconds since an epoch of which nothing is known was made, at least. */
  ageOfUnknown() {
    return performance.now() - this.#forgotten;
  }
  frame(key) {
    const item = this.items.get(key);
    return item !== void 0 && item.until > this.clock.now() ? item.frame : void 0;
  }
  store(key, frame, milliseconds) {
    this.items.set(
      key,
      { frame, until: this.clock.now() + milliseconds },
      { size: frame.length + key.length + 1 }
    );
  }
  publish(message) {
    for (const listener of this.listeners) queueMicrotask(() => listener.message(message));
  }
};
function epochKey(name) {
  return chunkEC4YPOZN_cjs.shortName(`e${name}`);
}
var MemoryTier = class {
  ready = true;
  #namespace;
  #own = /* @__PURE__ */ new Set();
  constructor(namespace) {
    this.#namespace = namespace;
  }
  async opened() {
  }
  async ping() {
  }
  async read(key, epochs) {
    return { frame: this.#namespace.frame(key), epochs: this.#epochs(epochs) };
  }
  async readMany(keys, epochs) {
    return { frames: keys.map((key) => this.#namespace.frame(key)), epochs: this.#epochs(epochs) };
  }
  async epochs(names) {
    const { epochs } = this.#namespace;
    return names.map((name) => {
      const known = epochs.get(epochKey(name));
      if (known !== void 0) return { value: known.value, age: performance.now() - known.made };
      const value = node_crypto.randomUUID();
      epochs.set(epochKey(name), { value, made: performance.now() });
      return { value, age: this.#namespace.ageOfUnknown() };
    });
  }
  async acquire(key, token, milliseconds, seen) {
    const { leases, clock } = this.#namespace;
    const frame = this.#namespace.frame(key);
    if (frame !== void 0 && idOf(frame) !== seen) return "changed";
    const held = leases.get(chunkEC4YPOZN_cjs.shortName(key));
    if (held !== void 0 && held.until > clock.now()) return "busy";
    leases.set(chunkEC4YPOZN_cjs.shortName(key), { token, until: clock.now() + milliseconds });
    return { key, token };
  }
  async renew(lease, milliseconds) {
    if (!this.#holds(lease)) return false;
    const { leases, clock } = this.#namespace;
    leases.set(chunkEC4YPOZN_cjs.shortName(lease.key), { token: lease.token, until: clock.now() + milliseconds });
    return true;
  }
  async release(lease) {
    if (this.#holds(lease)) this.#namespace.leases.delete(chunkEC4YPOZN_cjs.shortName(lease.key));
  }
  async commit(lease, frame, milliseconds, message) {
    if (!this.#holds(lease)) return false;
    await this.write(lease.key, frame, milliseconds, message);
    return true;
  }
  async write(key, frame, milliseconds, message) {
    this.#namespace.leases.delete(chunkEC4YPOZN_cjs.shortName(key));
    this.#namespace.store(key, frame, milliseconds);
    this.#namespace.publish(message);
  }
  async remove(keys, message) {
    for (const key of keys) {
      this.#namespace.items.delete(key);
      this.#namespace.leases.delete(chunkEC4YPOZN_cjs.shortName(key));
    }
    this.#namespace.publish(message);
  }
  async bump(name, message) {
    this.#namespace.epochs.set(epochKey(name), { value: node_crypto.randomUUID(), made: performance.now() });
    this.#namespace.publish(message);
  }
  listen = (listener) => {
    this.#own.add(listener);
    this.#namespace.listeners.add(listener);
    listener.healed();
  };
  async close() {
    for (const listener of this.#own) this.#namespace.listeners.delete(listener);
  }
  #holds({ key, token }) {
    const held = this.#namespace.leases.get(chunkEC4YPOZN_cjs.shortName(key));
    return held !== void 0 && held.token === token && held.until > this.#namespace.clock.now();
  }
  #epochs(names) {
    return names.map((name) => this.#namespace.epochs.get(epochKey(name))?.value);
  }
};

// src/stores/redis/redis-client.ts
function keyPrefixOf({ options }) {
  const prefix = options?.keyPrefix;
  return typeof prefix === "string" ? prefix : "";
}
function subscriberOf(client) {
  const extras = client;
  const masters = client.isCluster ? extras.nodes?.("master") ?? [] : [extras];
  const source = masters[Math.floor(Math.random() * masters.length)];
  return source?.duplicate?.({
    lazyConnect: true,
    retryStrategy: null,
    reconnectOnError: null,
    autoResubscribe: false,
    enableOfflineQueue: false,
    enableReadyCheck: false,
    connectTimeout: 2e3,
    commandTimeout: void 0,
    maxRetriesPerRequest: 0,
    keyPrefix: "",
    readOnly: false
  });
}

// src/stores/redis/redis-bus.ts
var HEARTBEAT = 1e3;
var PATIENCE = 2;
var FIRST_PAUSE3 = 50;
var MAX_PAUSE3 = 1e3;
var RedisBus = class {
  #client;
  #channel;
  #listener;
  #subscriber;
  #heartbeat;
  #unanswered = 0;
  #retry;
  #pause = FIRST_PAUSE3;
  #closed = false;
  constructor(client, channel, listener) {
    this.#client = client;
    this.#channel = channel;
    this.#listener = listener;
    this.#connect();
  }
  close() {
    this.#closed = true;
    clearTimeout(this.#retry);
    this.#drop(this.#subscriber);
  }
  #connect() {
    const subscriber = this.#client.status === "wait" ? void 0 : subscriberOf(this.#client);
    if (subscriber === void 0) {
      this.#later();
      return;
    }
    this.#subscriber = subscriber;
    subscriber.on("error", () => {
    });
    subscriber.on("message", (_channel, text) => this.#listener.message(text));
    subscriber.on("end", () => this.#drop(subscriber));
    this.#unanswered = 0;
    this.#heartbeat = setInterval(() => this.#beat(subscriber), HEARTBEAT).unref();
    subscriber.connect().then(() => subscriber.subscribe(this.#channel)).then(() => this.#live(subscriber)).catch(() => this.#drop(subscriber));
  }
  #live(subscriber) {
    if (this.#subscriber !== subscriber) return;
    this.#pause = FIRST_PAUSE3;
    this.#unanswered = 0;
    this.#listener.live();
  }
  #beat(subscriber) {
    if (this.#unanswered === PATIENCE) {
      this.#drop(subscriber);
      return;
    }
    this.#unanswered++;
    if (subscriber.status !== "ready") return;
    subscriber.ping().then(
      () => {
        this.#unanswered = 0;
      },
      () => this.#drop(subscriber)
    );
  }
  /** Idempotent. */
  #drop(subscriber) {
    if (subscriber === void 0 || this.#subscriber !== subscriber) return;
    this.#subscriber = void 0;
    clearInterval(this.#heartbeat);
    subscriber.disconnect();
    this.#listener.dropped();
    this.#later();
  }
  #later() {
    if (this.#closed) return;
    this.#retry = setTimeout(() => this.#connect(), this.#pause * (0.75 + Math.random() / 2));
    this.#retry.unref();
    this.#pause = Math.min(this.#pause * 2, MAX_PAUSE3);
  }
};

// src/stores/redis/redis-reply.ts
var RedisReplyError = class extends Error {
  constructor() {
    super("Redis gave a reply of another kind than the command has");
  }
};
function areBulks(reply, count) {
  if (!Array.isArray(reply) || reply.length !== count) return false;
  for (let i = 0; i < count; i++) if (reply[i] !== null && !Buffer.isBuffer(reply[i])) return false;
  return true;
}
function bulksIn(reply, count) {
  if (!areBulks(reply, count)) throw new RedisReplyError();
  return reply;
}
function textsIn(reply) {
  if (Array.isArray(reply) && reply.length === 2) {
    const [first, second] = reply;
    if (typeof first === "string" && typeof second === "string") return [first, second];
  }
  throw new RedisReplyError();
}
function script(text) {
  return { text, sha: node_crypto.createHash("sha1").update(text).digest("hex") };
}
var LEASE_MARK = 30;
var TOKEN_LENGTH2 = 22;
var LEASE_LENGTH2 = 1 + 16 + TOKEN_LENGTH2;
var OPEN = `
local value = redis.call('GET', KEYS[1]) or ''
local leased = string.byte(value, 1) == ${LEASE_MARK}
local token = leased and string.sub(value, 18, ${LEASE_LENGTH2}) or ''
local frame = leased and string.sub(value, ${LEASE_LENGTH2 + 1}) or value
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
`;
var ACQUIRE = script(`${OPEN}
if string.sub(frame, 5, 12) ~= ARGV[3] then return 2 end
if leased and tonumber(string.sub(value, 2, 17)) > now then return 0 end
local lease = '\\30' .. string.format('%016.0f', now + ARGV[2]) .. ARGV[1]
if frame == '' then redis.call('SET', KEYS[1], lease, 'PX', ARGV[2])
else redis.call('SET', KEYS[1], lease .. frame, 'KEEPTTL') end
return 1`);
var RENEW = script(`${OPEN}
if token ~= ARGV[1] then return 0 end
redis.call('SETRANGE', KEYS[1], 1, string.format('%016.0f', now + ARGV[2]))
if frame == '' then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return 1`);
var RELEASE = script(`${OPEN}
if token ~= ARGV[1] then return 0 end
if frame == '' then redis.call('DEL', KEYS[1]) else redis.call('SET', KEYS[1], frame, 'KEEPTTL') end
return 1`);
var COMMIT = script(`
if redis.call('GETRANGE', KEYS[1], 0, 0) ~= '\\30' then return 0 end
if redis.call('GETRANGE', KEYS[1], 17, ${LEASE_LENGTH2 - 1}) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
redis.call('PUBLISH', ARGV[4], ARGV[5])
return 1`);
var WRITE = script(`
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
redis.call('PUBLISH', ARGV[3], ARGV[4])
return 1`);
var REMOVE = script(`
redis.call('DEL', KEYS[1])
redis.call('PUBLISH', ARGV[1], ARGV[2])
return 1`);
var EPOCH = script(`
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local epoch = redis.call('GET', KEYS[1])
if epoch then
  redis.call('PEXPIRE', KEYS[1], ARGV[1])
  return { epoch, string.format('%.0f', math.max(0, now - tonumber(epoch))) }
end
epoch = string.format('%.0f', now)
redis.call('SET', KEYS[1], epoch, 'PX', ARGV[1])
return { epoch, '-1' }`);
var BUMP = script(`
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local old = tonumber(redis.call('GET', KEYS[1]) or '0')
redis.call('SET', KEYS[1], string.format('%.0f', math.max(old + 1, now)), 'PX', ARGV[1])
redis.call('PUBLISH', ARGV[2], ARGV[3])
return 1`);

// src/stores/redis/redis-reads.ts
var BATCH = 16;
var REPLY = 65536;
var RedisReads = class {
  #mget;
  #wanted = [];
  /** Bytes of an entry, as of late. */
  #size = 0;
  constructor(mget) {
    this.#mget = mget;
  }
  read(entry, epochs) {
    return new Promise((resolve3, reject) => {
      if (this.#wanted.length === 0) process.nextTick(this.#send);
      this.#wanted.push({ entry, epochs, resolve: resolve3, reject });
    });
  }
  #send = () => {
    const wanted = this.#wanted;
    this.#wanted = [];
    const most = Math.max(1, Math.min(BATCH, Math.floor(REPLY / (this.#size + 1))));
    if (wanted.length <= most) this.#ask(wanted);
    else for (let i = 0; i < wanted.length; i += most) this.#ask(wanted.slice(i, i + most));
  };
  #ask(wanted) {
    if (wanted.length === 1) this.#one(wanted[0]);
    else this.#many(wanted);
  }
  #one({ entry, epochs, resolve: resolve3, reject }) {
    this.#mget(entry, ...epochs).then((reply) => {
      if (!areBulks(reply, 1 + epochs.length)) return reject(new RedisReplyError());
      const [frame = null, ...values] = reply;
      this.#weigh(frame?.length ?? 0);
      resolve3({ frame: frameOf2(frame), epochs: values.map(textOf) });
    }, reject);
  }
  #many(wanted) {
    const names = wanted.map(({ entry }) => entry);
    const places = /* @__PURE__ */ new Map();
    for (const { epochs } of wanted) {
      for (const name of epochs) if (!places.has(name)) places.set(name, names.push(name) - 1);
    }
    const fail = (error) => {
      for (const { reject } of wanted) reject(error);
    };
    this.#mget(...names).then((values) => {
      if (!areBulks(values, names.length)) return fail(new RedisReplyError());
      const texts = /* @__PURE__ */ new Map();
      for (const [name, at] of places) texts.set(name, textOf(values[at]));
      let bytes = 0;
      for (let i = 0; i < wanted.length; i++) {
        const { epochs, resolve: resolve3 } = wanted[i];
        bytes += values[i]?.length ?? 0;
        resolve3({ frame: frameOf2(values[i]), epochs: epochs.map((name) => texts.get(name)) });
      }
      this.#weigh(bytes / wanted.length);
    }, fail);
  }
  /** Large entries are believed at once, smaller ones by and by. */
  #weigh(bytes) {
    this.#size = Math.max(bytes, this.#size + (bytes - this.#size) / 16);
  }
};
function frameOf2(value) {
  if (value === null) return void 0;
  if (value[0] !== LEASE_MARK) return value;
  return value.length > LEASE_LENGTH2 ? value.subarray(LEASE_LENGTH2) : void 0;
}
function textOf(value) {
  return value?.toString("latin1");
}

// src/stores/redis/redis-server.ts
var RedisServer = class {
  clock;
  constructor(client) {
    const time = client.createBuiltinCommand("time").string.bind(client);
    this.clock = new ServerClock(async () => {
      if (client.status !== "ready") throw new chunkEC4YPOZN_cjs.StoreUnavailableError("not ready");
      const [seconds2, microseconds] = textsIn(await time());
      return Number(seconds2) * 1e3 + Number(microseconds) / 1e3;
    });
    const measure = () => this.clock.measure();
    client.on("ready", measure);
    if (client.status === "ready") measure();
  }
};
var servers = /* @__PURE__ */ new WeakMap();
function serverOf(client) {
  let server = servers.get(client);
  if (server === void 0) servers.set(client, server = new RedisServer(client));
  return server;
}

// src/stores/redis/redis-store.ts
var resolve2 = chunkEC4YPOZN_cjs.defineOptions("cache", "redisStore", { bus: chunkEC4YPOZN_cjs.boolean }, { bus: true });
var resolveClient = chunkEC4YPOZN_cjs.defineOptions("cache", "redisStore", {
  client: chunkEC4YPOZN_cjs.having("an ioredis client", "createBuiltinCommand", "connect", "on", "off")
});
function redisStore(client, options) {
  resolveClient({ client });
  const { bus } = resolve2(options);
  return { kind: "redis", open: (namespace) => new RedisTier(client, namespace, bus) };
}
var EPOCH_LIFE2 = 90 * 864e5;
var MAX_KEY2 = 512;
var BATCH2 = 500;
var RedisTier = class {
  listen;
  #client;
  #namespace;
  #channel;
  #mget;
  #reads;
  #get;
  #del;
  #publish;
  #ping;
  #server;
  #evalsha;
  #eval;
  #bus;
  #last = { name: "", keys: [] };
  constructor(client, namespace, withBus) {
    this.#client = client;
    this.#namespace = namespace;
    const prefix = keyPrefixOf(client);
    this.#channel = `${prefix}${namespace}:bus`;
    this.#server = serverOf(client);
    const command = (name) => client.createBuiltinCommand(name);
    this.#mget = command("mget").buffer.bind(client);
    this.#reads = new RedisReads(this.#mget);
    this.#get = command("get").buffer.bind(client);
    this.#del = command("del").string.bind(client);
    this.#publish = command("publish").string.bind(client);
    this.#ping = command("ping").string.bind(client);
    this.#evalsha = command("evalsha").string.bind(client);
    this.#eval = command("eval").string.bind(client);
    if (withBus) this.listen = (listener) => this.#listen(listener);
  }
  get ready() {
    return this.#client.status === "ready";
  }
  opened() {
    if (this.ready) return Promise.resolve();
    if (this.#client.status === "wait") this.#client.connect().catch(() => {
    });
    return new Promise((resolve3) => {
      const onReady = () => {
        this.#client.off("ready", onReady);
        resolve3();
      };
      this.#client.on("ready", onReady);
    });
  }
  read(key, epochs) {
    const names = epochs.length === 1 ? this.#only(epochs[0]) : epochs.map((name) => this.#epoch(name));
    if (!this.#client.isCluster) return this.#reads.read(this.#entry(key), names);
    return this.#values([this.#entry(key), ...names]).then(([frame = null, ...values]) => ({
      frame: frameOf2(frame),
      epochs: values.map(textOf)
    }));
  }
  async readMany(keys, epochs) {
    const names = epochs.map((name) => this.#epoch(name));
    const values = await this.#values([...keys.map((key) => this.#entry(key)), ...names]);
    const found = values.slice(keys.length).map(textOf);
    return { frames: values.slice(0, keys.length).map(frameOf2), epochs: found };
  }
  async epochs(names) {
    return Promise.all(
      names.map(async (name) => {
        const [value, age] = textsIn(await this.#run(EPOCH, this.#epoch(name), EPOCH_LIFE2));
        return { value, age: age === "-1" ? Number.POSITIVE_INFINITY : Number(age) / 1e3 || 0 };
      })
    );
  }
  async acquire(key, token, milliseconds, seen) {
    const id = Buffer.from(seen, "latin1");
    const result = await this.#run(ACQUIRE, this.#entry(key), fixed(token), milliseconds, id);
    return result === 1 ? { key, token } : result === 0 ? "busy" : "changed";
  }
  async renew({ key, token }, milliseconds) {
    return await this.#run(RENEW, this.#entry(key), fixed(token), milliseconds) === 1;
  }
  async release({ key, token }) {
    await this.#run(RELEASE, this.#entry(key), fixed(token));
  }
  async commit({ key, token }, frame, milliseconds, message) {
    const args = [fixed(token), frame, milliseconds, this.#channel, message];
    return await this.#run(COMMIT, this.#entry(key), ...args) === 1;
  }
  async write(key, frame, milliseconds, message) {
    await this.#run(WRITE, this.#entry(key), frame, milliseconds, this.#channel, message);
  }
  async remove(keys, message) {
    const entries = keys.map((key) => this.#entry(key));
    if (entries.length === 1) {
      await this.#run(REMOVE, entries[0], this.#channel, message);
      return;
    }
    const size2 = this.#client.isCluster ? 1 : BATCH2;
    const deletions = [];
    for (let i = 0; i < entries.length; i += size2) deletions.push(this.#del(...entries.slice(i, i + size2)));
    await Promise.all(deletions);
    await this.#publish(this.#channel, message);
  }
  async bump(name, message) {
    await this.#run(BUMP, this.#epoch(name), EPOCH_LIFE2, this.#channel, message);
  }
  now() {
    return this.#server.clock.now();
  }
  async ping() {
    await this.#ping();
  }
  async close() {
    this.#bus?.close();
  }
  #listen(listener) {
    this.#bus = new RedisBus(this.#client, this.#channel, {
      live: () => listener.healed(),
      message: (text) => listener.message(text),
      dropped: () => listener.gap()
    });
  }
  /** In a cluster the keys belong to different nodes; the client sends each to its own. */
  async #values(names) {
    const values = this.#client.isCluster ? await Promise.all(names.map((name) => this.#get(name))) : await this.#mget(...names);
    return bulksIn(values, names.length);
  }
  async #run({ sha, text }, key, ...args) {
    try {
      return await this.#evalsha(sha, 1, key, ...args);
    } catch (error) {
      if (!(error instanceof Error) || !error.message.startsWith("NOSCRIPT")) throw error;
      return this.#eval(text, 1, key, ...args);
    }
  }
  /** Most reads want the namespace's epoch and no other: its key is made once. */
  #only(name) {
    if (this.#last.name !== name) this.#last = { name, keys: [this.#epoch(name)] };
    return this.#last.keys;
  }
  #entry(key) {
    return `${this.#namespace}:entry:${storeKey(key, MAX_KEY2)}`;
  }
  #epoch(name) {
    return `${this.#namespace}:epoch:${storeKey(name, MAX_KEY2)}`;
  }
};
function fixed(token) {
  return token.slice(0, TOKEN_LENGTH2).padEnd(TOKEN_LENGTH2);
}

Object.defineProperty(exports, "CacheClosedError", {
  enumerable: true,
  get: function () { return chunkEC4YPOZN_cjs.CacheClosedError; }
});
Object.defineProperty(exports, "LoadTimeoutError", {
  enumerable: true,
  get: function () { return chunkEC4YPOZN_cjs.LoadTimeoutError; }
});
Object.defineProperty(exports, "ReentrantLoadError", {
  enumerable: true,
  get: function () { return chunkEC4YPOZN_cjs.ReentrantLoadError; }
});
Object.defineProperty(exports, "StoreUnavailableError", {
  enumerable: true,
  get: function () { return chunkEC4YPOZN_cjs.StoreUnavailableError; }
});
Object.defineProperty(exports, "UncacheableValueError", {
  enumerable: true,
  get: function () { return chunkEC4YPOZN_cjs.UncacheableValueError; }
});
exports.Cache = Cache;
exports.DEFAULTS = DEFAULTS;
exports.memcachedStore = memcachedStore;
exports.memoryStore = memoryStore;
exports.redisStore = redisStore;
