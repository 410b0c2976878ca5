import type { QueryResult } from 'mysql2'
import type { LiteralStyle } from '../statement/values.js'
import { type ReplyStatus, statusOf } from './reply-status.js'

/**
 * State of one session on the server, kept up to date from the status that each reply carries; and its literal mode: how
 * strings must be written for it, as far as its `sql_mode` and character set are known.
 */
export class SessionState {
  readonly #charset: string
  #isDirty = false
  #inTransaction = false
  #hasWritten = false
  /** The literal mode that its set-up left, while nothing has changed it. */
  #knownStyle: LiteralStyle = 'neutral'
  #backslashIsPlain = false
  #isForeign = false
  #isModeAsked = false

  /** @param charset `character_set_client`, as this package sets it */
  constructor(charset: string) {
    this.#charset = charset
  }

  /** Something of it must not reach the next user. */
  get isDirty(): boolean {
    return this.#isDirty
  }

  /** It is dirty, or a transaction is open: it is reset before. */
  get mustBeReset(): boolean {
    return this.#isDirty || this.#inTransaction
  }

  get inTransaction(): boolean {
    return this.#inTransaction
  }

  /** Its user has given it another character set than this package. */
  get isForeign(): boolean {
    return this.#isForeign
  }

  /** What the server said last of how it reads a backslash. */
  get backslashIsPlain(): boolean {
    return this.#backslashIsPlain
  }

  /** How strings are written into the text of the next statement. */
  get literalStyle(): LiteralStyle {
    if (this.#isForeign) return 'hex'
    if (this.#isModeAsked) return this.#backslashIsPlain ? 'plain' : 'escaped'
    return this.#isDirty ? 'neutral' : this.#knownStyle
  }

  soil(): void {
    this.#isDirty = true
  }

  /** What made it dirty was done, and has been undone, by this package. */
  unsoil(): void {
    this.#isDirty = false
  }

  /** The server has rolled back the transaction by itself. */
  rolledBack(): void {
    this.#inTransaction = false
  }

  /** The open transaction has changed something. */
  noteWrite(): void {
    this.#hasWritten = true
  }

  /** No transaction is open now; tells whether the last one had changed something. */
  endTransaction(): boolean {
    const had = this.#hasWritten
    this.#hasWritten = false
    return had
  }

  /** Its set-up begins: nothing about it is sure until {@link settled}. */
  begin(): void {
    this.#knownStyle = 'neutral'
  }

  /** This package has set it up, and the last reply came after that. */
  settled(): void {
    this.#knownStyle = this.#backslashIsPlain ? 'plain' : 'escaped'
  }

  /** It is as new. */
  renewed(): void {
    this.#isDirty = false
    this.#inTransaction = false
  }

  /** The server has just told its mode, which holds for the next statement. */
  modeKnown(): void {
    this.#isModeAsked = true
  }

  /** A statement is on its way, and may change anything. */
  sent(): void {
    this.#isModeAsked = false
  }

  /** Takes over what the reply to a statement of this package says. */
  noteOwn(result: QueryResult): void {
    const status = statusOf(result)
    if (status === undefined) return
    this.#inTransaction = status.inTransaction
    this.#noteLiterals(status)
  }

  /** Takes over what the reply to a statement of the user says; `undefined` when it says nothing. */
  note(result: QueryResult): ReplyStatus | undefined {
    const status = statusOf(result)
    if (status === undefined) return undefined
    this.#inTransaction = status.inTransaction
    if (this.#noteLiterals(status) || status.changed) this.#isDirty = true
    return status
  }

  /** Tells whether the server reads a backslash in another way than it said before. */
  #noteLiterals({ backslashIsPlain, charset }: ReplyStatus): boolean {
    if (charset !== undefined && charset !== this.#charset) this.#isForeign = true
    if (backslashIsPlain === this.#backslashIsPlain) return false
    // What changed it may do so again, unseen; or nothing has, and the status is that of a stored program.
    this.#knownStyle = 'neutral'
    this.#backslashIsPlain = backslashIsPlain
    return true
  }
}
