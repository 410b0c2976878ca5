import type { QueryResult } from 'mysql2'
import type { LiteralStyle } from '../statement/values.js'
import { type ReplyStatus, statusOf } from './reply-status.js'
import { SessionLiterals } from './session-literals.js'

/** State of one session on the server, kept up to date from the status that each reply carries. */
export class SessionState {
  readonly #literals: SessionLiterals
  #isDirty = false
  #inTransaction = false
  #hasWritten = false

  /** @param charset `character_set_client`, as this package sets it */
  constructor(charset: string) {
    this.#literals = new SessionLiterals(charset)
  }

  /** Something of it must not reach the next user: it is reset before. */
  get isDirty(): boolean {
    return this.#isDirty
  }

  get inTransaction(): boolean {
    return this.#inTransaction
  }

  /** Its character set is not the one that this package has set. */
  get isForeign(): boolean {
    return this.#literals.isForeign
  }

  get backslashIsPlain(): boolean {
    return this.#literals.backslashIsPlain
  }

  /** How strings are written into the text of the next statement. */
  get literalStyle(): LiteralStyle {
    return this.#literals.style(this.#isDirty)
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

  /** Its set-up begins: nothing about it is sure. */
  begin(): void {
    this.#literals.begin()
  }

  /** This package has set it up. */
  settled(): void {
    this.#literals.settled()
  }

  /** It is as new. */
  renewed(): void {
    this.#isDirty = false
    this.#inTransaction = false
  }

  /** The server has just told its mode, which holds for the next statement. */
  modeKnown(): void {
    this.#literals.asked()
  }

  /** A statement is on its way, and may change anything. */
  sent(): void {
    this.#literals.sent()
  }

  /** Takes over what the reply to a statement of this package says. */
  noteOwn(result: QueryResult): void {
    const status = statusOf(result)
    if (status === undefined) return
    this.#inTransaction = status.inTransaction
    this.#literals.update(status)
  }

  /** Takes over what the reply to a statement of the user says; `undefined` when it says nothing. */
  note(result: QueryResult): ReplyStatus | undefined {
    const status = statusOf(result)
    if (status === undefined) return undefined
    this.#inTransaction = status.inTransaction
    if (this.#literals.update(status) || status.changed) this.#isDirty = true
    return status
  }
}
