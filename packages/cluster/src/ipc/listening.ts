import { type Field, INVALID, number, objectOf, oneOf, text } from '@spillway/kit/message'
import type { ListeningInfo } from '../events.js'

/** What `node:cluster` says of a listening worker. */
export interface ListeningAddress {
  /** `null`: every interface; a path for a unix socket. */
  readonly address: string | null
  /** -1 for a unix socket. */
  readonly port: number
  readonly addressType: 4 | 6 | -1 | 'udp4' | 'udp6'
}

/** The path of a unix socket has 108 bytes at most, a name 255. UTF-16 code units. */
const name = text(512)

/** A host or a path; `null` (every interface) for null and undefined. */
export const hostField: Field<string | null> = (value) => (value == null ? null : name(value))

/** -1 stands for a unix socket. */
export const portField: Field<number> = (value) =>
  Number.isInteger(value) ? number(-1, 65_535)(value) : INVALID

/** The kind of an address, as `node:cluster` writes it: IP version, -1 for a unix socket, or UDP. */
export const addressTypeField = oneOf<ListeningAddress['addressType']>(4, 6, -1, 'udp4', 'udp6')

const fields = objectOf({ address: hostField, port: portField, addressType: addressTypeField })

/** The address in what came over a worker's channel, if it is one: a worker can say anything there. */
export function listeningAddress(said: unknown): ListeningAddress | undefined {
  const address = fields(said)
  return address === INVALID ? undefined : address
}

/** The address as events show it. */
export function listeningInfo({ address, port, addressType }: ListeningAddress): ListeningInfo {
  if (addressType === -1 || port < 0) return { address: `${address}`, port: undefined }
  const host = address === null ? '*' : address.includes(':') ? `[${address}]` : address
  return { address: `${host}:${port}`, port }
}

/** The address as a text that is the same for two workers that listen to the same. */
export function listeningKey(at: ListeningAddress): string {
  const protocol = typeof at.addressType === 'string' ? 'udp ' : ''
  return `${protocol}${listeningInfo(at).address}`
}
