/**
 * Messages as effects that write them whenever they are run: their value where there is room, as nearly always, a wait otherwise.
 */
import type * as Effect from "effect/Effect"
import { InvalidOption, type WriteError } from "../NetError.ts"
import type { Outbound } from "./outbound.ts"
import { Immediate } from "./suspension.ts"

export type Message = Uint8Array | string

const encoder = new TextEncoder()

/** The bytes of a message. Throws for anything else, which would do harm further on. */
export const toBytes = (message: Message): Uint8Array => {
  if (typeof message === "string") return encoder.encode(message)
  if (message instanceof Uint8Array || isForeignBytes(message)) return message
  throw new InvalidOption({ option: "message", value: message, expected: "bytes or a string" })
}

/** A Uint8Array of another realm, such as a sandbox of tests. */
const isForeignBytes = (message: unknown): boolean => Object.prototype.toString.call(message) === "[object Uint8Array]"

/** A unit of UTF-16 takes at most three bytes of UTF-8. Of what is not known to be a message, no number. */
const sizeAtMost = (message: unknown): number =>
  typeof message === "string" ? 3 * message.length : message instanceof Uint8Array ? message.length : NaN

export class Write extends Immediate<void, WriteError> {
  readonly #outbound: Outbound
  readonly #message: Message

  constructor(outbound: Outbound, message: Message) {
    super()
    this.#outbound = outbound
    this.#message = message
  }

  get isReady(): boolean {
    return this.#outbound.hasRoom(sizeAtMost(this.#message))
  }

  protected value(): void {
    const bytes = toBytes(this.#message)
    if (bytes.length > 0) this.#outbound.offer(bytes)
  }

  commit(): Effect.Effect<void, WriteError> {
    return this.#outbound.write(toBytes(this.#message))
  }
}

/** As `Write`, of a message in several pieces. */
export class WriteAll extends Immediate<void, WriteError> {
  readonly #outbound: Outbound
  readonly #pieces: ReadonlyArray<Message>

  constructor(outbound: Outbound, pieces: ReadonlyArray<Message>) {
    super()
    this.#outbound = outbound
    this.#pieces = pieces
  }

  get isReady(): boolean {
    let size = 0
    for (const piece of this.#pieces) size += sizeAtMost(piece)
    return this.#outbound.hasRoom(size)
  }

  protected value(): void {
    this.#outbound.offerAll(this.#pieces.map(toBytes))
  }

  commit(): Effect.Effect<void, WriteError> {
    return this.#outbound.writeAll(this.#pieces.map(toBytes))
  }
}
