import type { ListeningInfo } from './events.js'

/** What `node:cluster` says of a listening worker. */
export interface ListeningAddress {
  /** `null`: every interface; a path for a unix socket. */
  readonly address: string | null
  readonly port: number
  readonly addressType: 4 | 6 | -1 | 'udp4' | 'udp6' | number | string
}

export function listeningInfo({ address, port, addressType }: ListeningAddress): ListeningInfo {
  if (addressType === -1 || port < 0) return { address: `${address}`, port: undefined }
  const host = address === null ? '*' : address.includes(':') ? `[${address}]` : address
  return { address: `${host}:${port}`, port }
}
