export type {
  AcquireMessage,
  FailoverMessage,
  KillMessage,
  QueryMessage,
  RetryMessage,
  SlowMessage,
} from './channels.js'
export { MysqlConnection } from './connection.js'
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
export type { StatementSnapshot } from './insight.js'
export { jump } from './jump.js'
export { Loader, type LoaderOptions } from './loader.js'
export type { LoaderKey } from './loader-key.js'
export type { NodeStats } from './node-stats.js'
export {
  DEFAULTS,
  type MysqlPoolOptions,
  READ_DEFAULTS,
  type ReadOptions,
  type ServerOptions,
} from './options.js'
export type { PlanRow } from './plan.js'
export { type DrainReport, MysqlPool, type MysqlPoolStats } from './pool.js'
export type { Isolation, Queryable, QueryOptions, StreamOptions, TransactionOptions } from './queryable.js'
export { rendezvous } from './rendezvous.js'
export type { RowShape } from './row-reading.js'
export { MysqlSession, type SessionOptions } from './session.js'
export type { ShardKey } from './shard-key.js'
export {
  type AllOptions,
  type Locate,
  type Move,
  type ReshardingPlan,
  ShardedMysql,
  type ShardedMysqlOptions,
} from './sharded.js'
export type { FailoverEvent } from './topology.js'
export { Transaction } from './transaction.js'
export type { Parameter, Scalar } from './values.js'
