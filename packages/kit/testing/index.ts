export { type AttachSpec, type AttachSubject, attachChecks, attachSuite } from './attach.js'
export { withoutLeak } from './census.js'
export { type Check, failures } from './check.js'
export { type Answer, type Ask, ask, askAndLeave, open, visit } from './client.js'
export { FakeClock } from './fake-clock.js'
export {
  FRAMEWORKS,
  FRAMEWORKS_HTTP2,
  type Framework,
  type Handler,
  type Mounts,
  type Native,
  type Reply,
  type Route,
  type Routes,
  type RunningApp,
  type Site,
  serving,
  start,
} from './frameworks.js'
export { type GateMode, type GateSpec, type GateSubject, gateChecks, gateSuite } from './gate.js'
export { type OperatorSpec, operatorSuite } from './operator.js'
export { type ProbeSpec, type ProbeSubject, probeChecks, probeSuite } from './probe.js'
export {
  type ReplayMode,
  type ReplaySpec,
  type ReplaySubject,
  replayChecks,
  replaySuite,
} from './replay.js'
export { type Heard, heardInRequests } from './requests.js'
export { printedDuring } from './stderr.js'
export { type Latch, latch, patience, turns, until, within, withoutUnhandled } from './waiting.js'
export { workOf } from './work.js'
