export { installCommand, locate, type ServerName } from '../provision.mjs'
export { App, type AppOptions, type Exit, type Line, spawnApp, type WaitOptions } from './app.js'
export { binary } from './binaries.js'
export { type EventuallyOptions, eventually } from './eventually.js'
export { type Failure, type LoadOptions, type LoadSummary, load } from './load.js'
export { type MariadbOptions, MariadbServer, startMariadb } from './mariadb.js'
export { MemcachedServer, startMemcached } from './memcached.js'
export { type NginxConfig, type NginxContext, NginxServer, startNginx } from './nginx.js'
export { type FreePortOptions, freePort, HOST } from './ports.js'
export { isAlive, processGroup, processState, processTree, rss } from './processes.js'
export { FaultProxy, type ProxyMode, type ProxyOptions, type ProxyStats, startProxy } from './proxy.js'
export { type RedisOptions, RedisServer, startRedis } from './redis.js'
export {
  RedisCluster,
  RedisClusterNode,
  type RedisClusterOptions,
  startRedisCluster,
} from './redis-cluster.js'
export { MariadbReplica, ReplicaPair, type ReplicaPairOptions, startReplicaPair } from './replica-pair.js'
export { type SentinelOptions, SentinelServer, SentinelSetup, startSentinel } from './sentinel.js'
export { Server, type ServerOptions } from './server.js'
