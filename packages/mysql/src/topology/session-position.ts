import { Position } from './position.js'

/** The token of a session whose last write has no known position: reads that must see it go to the primary. */
export const PRIMARY = 'primary'

/** Position that the reads of one session must see: that of its writes, so far. */
export class SessionPosition {
  #current: Position | undefined = Position.START

  /** @param token of an earlier session whose writes must be seen, too; one that cannot be read means the primary */
  static ofToken(token: string): SessionPosition {
    const position = new SessionPosition()
    if (token !== '') position.#current = Position.ofToken(token)
    return position
  }

  /** `undefined`: something was written at a position that the server did not tell. */
  get current(): Position | undefined {
    return this.#current
  }

  /** Takes over the position of a write; `undefined` when the server did not tell it. */
  note(position: Position | undefined): void {
    this.#current = position === undefined ? undefined : (this.#current ?? Position.START).merge(position)
  }

  toString(): string {
    return this.#current === undefined ? PRIMARY : this.#current.toString()
  }
}
