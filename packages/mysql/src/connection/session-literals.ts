import type { LiteralStyle } from '../statement/values.js'
import type { ReplyStatus } from './reply-status.js'

/** Literal mode of one session: how strings must be written for it, as far as its `sql_mode` and character set are known. */
export class SessionLiterals {
  readonly #charset: string
  #known: LiteralStyle = 'neutral'
  #backslashIsPlain = false
  #foreign = false
  #asked = false

  /** @param charset `character_set_client`, as this package sets it */
  constructor(charset: string) {
    this.#charset = charset
  }

  /** What its server said last of how it reads a backslash. */
  get backslashIsPlain(): boolean {
    return this.#backslashIsPlain
  }

  /** Its user has given it another character set. */
  get isForeign(): boolean {
    return this.#foreign
  }

  /** How strings are written for it. @param changed something of the session may not be as this package has set it */
  style(changed: boolean): LiteralStyle {
    if (this.#foreign) return 'hex'
    if (this.#asked) return this.#backslashIsPlain ? 'plain' : 'escaped'
    return changed ? 'neutral' : this.#known
  }

  /** Its server has just told its mode, which holds for the next statement. */
  asked(): void {
    this.#asked = true
  }

  /** A statement is on its way, and may change anything. */
  sent(): void {
    this.#asked = false
  }

  /** Nothing is sure until {@link settled}. */
  begin(): void {
    this.#known = 'neutral'
  }

  /** This package has set it up, and the last answer came after that. */
  settled(): void {
    this.#known = this.#backslashIsPlain ? 'plain' : 'escaped'
  }

  /** Whether the server reads a backslash in another way than it said before. */
  update({ backslashIsPlain, charset }: ReplyStatus): boolean {
    if (charset !== undefined && charset !== this.#charset) this.#foreign = true
    if (backslashIsPlain === this.#backslashIsPlain) return false
    // Whoever changed it may do so again, unseen; or nobody has, and the status is that of a stored program.
    this.#known = 'neutral'
    this.#backslashIsPlain = backslashIsPlain
    return true
  }
}
