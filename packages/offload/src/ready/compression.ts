import { brotliCompressSync, constants, gunzipSync, gzipSync } from 'node:zlib'
import { misuse } from '@spillway/kit'
import type { TaskContext } from '../worker/context.js'

export interface CompressInput {
  readonly data: Uint8Array | string
  /** From 1 (fast) to 9, or 11 for brotli (small). Default: 6 for gzip, 5 for brotli. */
  readonly level?: number
}

/** Compresses with gzip (RFC 1952). The result is moved, not copied. */
export function gzip({ data, level = 6 }: CompressInput, context: TaskContext): Uint8Array {
  return moved(gzipSync(data, { level }), context)
}

/** Compresses with brotli (RFC 7932). The result is moved, not copied. */
export function brotli({ data, level = 5 }: CompressInput, context: TaskContext): Uint8Array {
  const params = {
    [constants.BROTLI_PARAM_QUALITY]: level,
    [constants.BROTLI_PARAM_SIZE_HINT]: data.length,
  }
  return moved(brotliCompressSync(data, { params }), context)
}

export interface GunzipInput {
  readonly data: Uint8Array
  /** Bytes that may come out; more rejects with `ERR_BUFFER_TOO_LARGE`, so that a small bomb stays small. */
  readonly maxBytes: number
}

/**
 * Unpacks gzip. The result is moved, not copied.
 *
 * @throws RangeError `ERR_OFFLOAD_OPTION` without a bound: zlib would take as much memory as the input asks for
 */
export function gunzip({ data, maxBytes }: GunzipInput, context: TaskContext): Uint8Array {
  if (!Number.isSafeInteger(maxBytes) || maxBytes < 1)
    throw misuse(RangeError, 'ERR_OFFLOAD_OPTION', 'gunzip option "maxBytes" must be an integer from 1 on')
  return moved(gunzipSync(data, { maxOutputLength: maxBytes }), context)
}

/** Zlib may hand out a view of a larger buffer; only one that owns its memory can be moved. */
function moved(buffer: Buffer, context: TaskContext): Uint8Array {
  const owned = buffer.byteLength === buffer.buffer.byteLength ? buffer : new Uint8Array(buffer)
  context.transfer(owned.buffer as ArrayBuffer)
  return owned
}
