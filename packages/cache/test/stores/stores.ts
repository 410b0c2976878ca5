import type { CacheStore, Tier } from '../../src/index.js'

/** A store that is always there and never works. */
export function brokenStore(): CacheStore {
  const fail = () => Promise.reject(new Error('the store is broken'))
  const tier: Tier = {
    ready: true,
    opened: async () => {},
    read: fail,
    readMany: fail,
    epochs: fail,
    acquire: fail,
    renew: fail,
    release: fail,
    commit: fail,
    write: fail,
    remove: fail,
    bump: fail,
    ping: fail,
    close: async () => {},
  }
  return { kind: 'broken', open: () => tier }
}
