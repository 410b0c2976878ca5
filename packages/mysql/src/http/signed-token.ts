import { createHmac, timingSafeEqual } from 'node:crypto'

/** Half of SHA-256: 128 bits, which nobody can guess. */
const SIGNATURE_BYTES = 16
/** Characters of a sealed token at most, which is what browsers keep of a cookie. A longer one is not looked at. */
const LONGEST = 4_096

/** A session's token in a form that may go through a client's hands: it comes back unchanged, or not at all. */
export class SignedToken {
  readonly #secrets: readonly string[]

  /** @param secrets the first signs, all are accepted: so that a secret can be replaced */
  constructor(secrets: readonly string[]) {
    this.#secrets = secrets
  }

  seal(token: string): string {
    const body = Buffer.from(token).toString('base64url')
    return `${body}.${signature(body, this.#secrets[0]!).toString('base64url')}`
  }

  /** The token; `undefined` when it was not signed by us. */
  open(sealed: string): string | undefined {
    if (sealed.length > LONGEST) return undefined
    const [body, given, ...rest] = sealed.split('.', 3)
    if (body === undefined || given === undefined || rest.length > 0) return undefined
    const own = Buffer.from(given, 'base64url')
    if (own.length !== SIGNATURE_BYTES) return undefined
    const fits = this.#secrets.some((secret) => timingSafeEqual(own, signature(body, secret)))
    return fits ? Buffer.from(body, 'base64url').toString() : undefined
  }
}

function signature(body: string, secret: string): Buffer {
  return createHmac('sha256', secret).update(`spillway-mysql:${body}`).digest().subarray(0, SIGNATURE_BYTES)
}
