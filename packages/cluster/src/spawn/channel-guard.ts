import type { Worker } from 'node:cluster'
import { count, INVALID, maybe, objectOf } from '@spillway/kit/message'
import { addressTypeField, hostField, portField } from '../ipc/listening.js'
import { filterListenRequests } from '../node-internals/cluster-channel.js'

const listenRequest = objectOf({
  address: hostField,
  port: portField,
  addressType: addressTypeField,
  fd: (value) => (value === null ? undefined : maybe(count())(value)),
})

/**
 * Protects `node:cluster` in the primary from a worker's messages. It trusts them: a message in its own form, which any code can
 * send by `process.send`, makes it listen wherever the message says, and an exception on the way ends the primary. So a request
 * to listen is checked first, and a malformed one is dropped.
 */
export function guardChannel(worker: Worker): void {
  filterListenRequests(worker, (request) => listenRequest(request) !== INVALID)
}
