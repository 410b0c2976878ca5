export type {
  AcquireMessage,
  FailoverMessage,
  KillMessage,
  QueryMessage,
  RetryMessage,
  SlowMessage,
} from './channels.js'
export type { RowShape } from './connection/row-reading.js'
export { classify, type Failure, type FailureKind } from './errno.js'
export {
  type Holder,
  MysqlAcquireTimeoutError,
  MysqlClosedError,
  MysqlCommitUnknownError,
  MysqlConnectionLostError,
  MysqlOverloadedError,
  MysqlTimeoutError,
  MysqlUnavailableError,
  type Phase,
} from './errors.js'
export type { MysqlPoolEvents, SlowEvent } from './events.js'
export {
  DEFAULTS,
  type MysqlPoolOptions,
  READ_DEFAULTS,
  type ReadOptions,
  type ServerOptions,
} from './options.js'
export { type DrainReport, MysqlPool, type MysqlPoolStats } from './pool.js'
export type { NodeStats } from './server-pool/node-stats.js'
export { MysqlConnection } from './session/connection.js'
export { Loader, type LoaderOptions } from './session/loader.js'
export type { LoaderKey } from './session/loader-key.js'
export type {
  Isolation,
  Queryable,
  QueryOptions,
  StreamOptions,
  TransactionOptions,
} from './session/queryable.js'
export { MysqlSession, type SessionOptions } from './session/session.js'
export { Transaction } from './session/transaction.js'
export { jump } from './sharding/jump-hash.js'
export { rendezvous } from './sharding/rendezvous-hash.js'
export type { ShardKey } from './sharding/shard-key.js'
export {
  type AllOptions,
  type Locate,
  type Move,
  type ReshardingPlan,
  ShardedMysql,
  type ShardedMysqlOptions,
} from './sharding/sharded.js'
export type { PlanRow } from './statement/explain.js'
export type { StatementSnapshot } from './statement/statement-stats.js'
export type { Parameter, Scalar } from './statement/values.js'
export type { FailoverEvent } from './topology/topology.js'
