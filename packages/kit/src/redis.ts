import { createHash } from 'node:crypto'

/** What a command may be given. */
export type RedisArgument = string | number | Buffer

export type RedisCommand = (...args: RedisArgument[]) => Promise<unknown>

/**
 * What a store needs of a Redis client, whichever library it is of. {@link ioredisCommands} adapts ioredis; a client of
 * node-redis would be adapted by a second function of the same return type.
 */
export interface RedisCommands {
  /** The prefix that the client itself puts before each key of a command, but before no channel. */
  readonly keyPrefix: string
  /** A command whose bulk replies are buffers. */
  bytes(name: string): RedisCommand
  /** A command whose bulk replies are texts. */
  text(name: string): RedisCommand
}

/** The part of an ioredis client (5 or 6: `Redis`, with Sentinel or without, or `Cluster`) that is adapted here. */
export interface IoredisClient {
  readonly options?: object
  call(name: string, ...args: RedisArgument[]): Promise<unknown>
  callBuffer(name: string, ...args: RedisArgument[]): Promise<unknown>
}

type Builtin = (name: string) => { readonly string: RedisCommand; readonly buffer: RedisCommand }

/**
 * Adapter of ioredis. Commands go out by themselves even with `enableAutoPipelining`: the stores group what belongs together,
 * and ioredis 5 would group EVALSHA by the hash of the script instead of its keys, which a cluster refuses (ioredis #2109).
 */
export function ioredisCommands(client: Partial<IoredisClient>): RedisCommands {
  const { createBuiltinCommand } = client as { readonly createBuiltinCommand?: Builtin }
  const builtin = (name: string, reply: 'string' | 'buffer'): RedisCommand => {
    if (typeof createBuiltinCommand === 'function') {
      return Reflect.apply(createBuiltinCommand, client, [name])[reply].bind(client)
    }
    const call = reply === 'buffer' ? client.callBuffer : client.call
    return call!.bind(client, name)
  }
  return {
    keyPrefix: keyPrefixOf(client),
    bytes: (name) => builtin(name, 'buffer'),
    text: (name) => builtin(name, 'string'),
  }
}

/** The prefix that an ioredis client puts before each key; `''` when there is none. */
export function keyPrefixOf({ options }: { readonly options?: object }): string {
  const prefix = (options as { readonly keyPrefix?: unknown } | undefined)?.keyPrefix
  return typeof prefix === 'string' ? prefix : ''
}

/** A Lua script with the digest that the server knows it by. */
export interface RedisScript {
  readonly text: string
  readonly sha: string
}

export function redisScript(text: string): RedisScript {
  return { text, sha: createHash('sha1').update(text).digest('hex') }
}

/** Runs scripts: by their digest, and in full when the server does not know it yet, which also teaches it. */
export class RedisScripts {
  readonly #evalsha: RedisCommand
  readonly #eval: RedisCommand

  /** @param reply whether bulk replies are buffers or texts */
  constructor(commands: RedisCommands, reply: 'bytes' | 'text') {
    this.#evalsha = commands[reply]('evalsha')
    this.#eval = commands[reply]('eval')
  }

  /**
   * @param args the keys, then the other arguments
   * @param read what the reply means; given here, so that no promise is made only to pass the reply on
   */
  run<T>(
    { sha, text }: RedisScript,
    keyCount: number,
    args: readonly RedisArgument[],
    read: (reply: unknown) => T | Promise<T>,
  ): Promise<T> {
    return this.#evalsha(sha, keyCount, ...args).then(read, (error) => {
      // Such a script was not carried out, so that it may be sent again.
      if (!(error instanceof Error) || !error.message.startsWith('NOSCRIPT')) throw error
      return this.#eval(text, keyCount, ...args).then(read)
    })
  }
}
