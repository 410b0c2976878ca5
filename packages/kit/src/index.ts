export { abortable, MAX_TIMER, type SleepOptions, sleep } from './abort.js'
export { offAbort, onAbort } from './abort-listeners.js'
export { Backoff, type BackoffOptions } from './backoff.js'
export { availableCpus } from './cgroup.js'
export { type Caller, type Channel, caller, callerOf, channel, type Listened } from './channel.js'
export { type Clock, monotonicClock, wallClock } from './clock.js'
export { type Deadline, DeadlineHeap } from './deadline-heap.js'
export { ClientGoneError, isDeparture } from './departure.js'
export { type Duration, durationMs } from './durations.js'
export { brand, type Details, misuse, RejectedError, type RejectedErrorInit } from './errors.js'
export { notify } from './events.js'
export { onResponseEnd, pathOf, responseSignal } from './http.js'
export { addLate, type Header, noteRefusal } from './late-headers.js'
export { type Closable, type CloseOptions, closeOnce, drainWithin } from './lifecycle.js'
export { type Linked, LinkedList } from './linked-list.js'
export {
  OPERATOR_CHECKS,
  OPERATOR_HEADERS,
  OperatorGuard,
  type OperatorOptions,
  type OperatorRefusal,
  type OperatorRequest,
} from './operator.js'
export {
  anything,
  boolean,
  type Check,
  defineOptions,
  duration,
  either,
  func,
  having,
  integer,
  list,
  nested,
  number,
  oneOf,
  optional,
  orFalse,
  type Place,
  type Resolved,
  refuse,
  size,
  string,
} from './options.js'
export { problemOf } from './problem.js'
export {
  type IoredisClient,
  ioredisCommands,
  keyPrefixOf,
  type RedisArgument,
  type RedisCommand,
  type RedisCommands,
  type RedisScript,
  RedisScripts,
  redisScript,
} from './redis.js'
export { shareOf, workerCount } from './share.js'
export { type Size, sizeBytes } from './sizes.js'
export { TimeoutQueue, type Waiting } from './timeout-queue.js'
export { ADMIT, retryAfterSeconds, type Verdict } from './verdict.js'
