/**
 * The ways to read: what has come, exactly so much, up to a delimiter, all as a stream's chunk. Each answers from the queue without
 * suspending where it can, and takes nothing before it has what it gives, so that interrupting it loses nothing.
 */
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberRef from "effect/FiberRef"
import * as Option from "effect/Option"
import type * as Stream from "effect/Stream"
import { InvalidOption, MessageTooLarge, type ReadError, UnexpectedEnd } from "../NetError.ts"
import type { SocketAddress } from "../SocketAddress.ts"
import { emitting } from "./emitting.ts"
import type { Inbound } from "./inbound.ts"
import { Suspendable } from "./suspension.ts"
import { currentFiber, type Resume } from "./turn.ts"
import { type Message, toBytes } from "./writes.ts"

type Address = () => SocketAddress

/** For a reader that found no bytes: the failure, or what it does at the end of stream; nothing if more may come. */
export const settled = <A, E, R>(
  inbound: Inbound,
  end: Effect.Effect<A, E, R>
): Effect.Effect<A, E | ReadError, R> | undefined => inbound.failure?.() ?? (inbound.ended ? end : undefined)

/**
 * A step that takes bytes. Effect lets a fiber yield after 2048 steps, between any two of them; whoever was
 * interrupted there with bytes in hand would lose them. So a fiber that is about to yield does it before it takes any.
 */
export const taking = <A, E, R>(step: () => Effect.Effect<A, E, R>): Effect.Effect<A, E, R> => {
  const self: Effect.Effect<A, E, R> = Effect.suspend(() => yieldsFirst(self) ?? step())
  return self
}

/** For a fiber that is about to yield: that, and then the step. */
export const yieldsFirst = <A, E, R>(step: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> | undefined =>
  isAboutToYield() ? Effect.zipRight(Effect.yieldNow(), step) : undefined

/** Whether the present fiber should take nothing before it has yielded. Cheaper than `withFiberRuntime`, which makes a status for each step. */
export const isAboutToYield = (): boolean => {
  const fiber = currentFiber()
  if (fiber === undefined || fiber.currentOpCount < freshSteps) return false
  return fiber.currentOpCount >= fiber.getFiberRef(FiberRef.currentMaxOpsBeforeYield) - reservedSteps
}

/** A fiber that has just yielded, or been woken, does not do so again, however few steps it is allowed. */
const freshSteps = 32

/** For what a reader does with the bytes before they are safe. */
const reservedSteps = 64

/** One object, without closures: most connections have one, and wait in it. */
class Next extends Suspendable<Option.Option<Uint8Array>, ReadError> {
  readonly #inbound: Inbound

  constructor(inbound: Inbound) {
    super()
    this.#inbound = inbound
  }

  /** A fiber that is about to yield does so with nothing in hand. */
  get isReady(): boolean {
    return this.#inbound.queue.size > 0 && !isAboutToYield()
  }

  get mustWait(): boolean {
    return this.#inbound.queue.size === 0 && this.#inbound.open
  }

  protected value(): Option.Option<Uint8Array> {
    return Option.some(plain(this.#inbound.take()!))
  }

  protected wait(resume: Resume<Option.Option<Uint8Array>, ReadError>): void {
    this.#inbound.await(resume, this, 1, false)
  }

  commit(): Effect.Effect<Option.Option<Uint8Array>, ReadError> {
    const inbound = this.#inbound
    if (inbound.queue.size > 0) return yieldsFirst(this) ?? this
    return settled(inbound, none) ?? inbound.wait(this, 1, false)
  }
}

/** The next chunk as it came; none at the end of stream. */
export const next = (inbound: Inbound): Effect.Effect<Option.Option<Uint8Array>, ReadError> => new Next(inbound)

const none: Effect.Effect<Option.Option<Uint8Array>> = Exit.succeed(Option.none())

class Exactly extends Suspendable<Uint8Array, ReadError | UnexpectedEnd> {
  readonly #inbound: Inbound
  readonly #n: number
  readonly #address: Address

  constructor(inbound: Inbound, n: number, address: Address) {
    super()
    this.#inbound = inbound
    this.#n = n
    this.#address = address
  }

  get isReady(): boolean {
    return this.#inbound.queue.size >= this.#n && !isAboutToYield()
  }

  get mustWait(): boolean {
    return this.#inbound.queue.size < this.#n && this.#inbound.open
  }

  protected value(): Uint8Array {
    return plain(this.#inbound.takeBytes(this.#n))
  }

  protected wait(resume: Resume<Uint8Array, ReadError | UnexpectedEnd>): void {
    this.#inbound.await(resume, this, this.#n, true)
  }

  commit(): Effect.Effect<Uint8Array, ReadError | UnexpectedEnd> {
    const inbound = this.#inbound
    if (inbound.queue.size >= this.#n) return yieldsFirst(this) ?? this
    return settled(inbound, unexpectedEnd(inbound, this.#address, this.#n)) ?? inbound.wait(this, this.#n, true)
  }
}

/** Exactly `n` bytes. */
export const exactly = (
  inbound: Inbound,
  n: number,
  address: Address
): Effect.Effect<Uint8Array, ReadError | UnexpectedEnd> =>
  Number.isSafeInteger(n) && n >= 0
    ? new Exactly(inbound, n, address)
    : Effect.die(new InvalidOption({ option: "n", value: n, expected: "a number of bytes" }))

type UntilError = ReadError | UnexpectedEnd | MessageTooLarge

class Until extends Suspendable<Uint8Array, UntilError> {
  readonly #inbound: Inbound
  readonly #pattern: Uint8Array
  readonly #limit: number
  readonly #address: Address
  /** How far the search has got in the queue of that version; it begins anew once somebody has taken bytes. */
  #seen = 0
  #version = -1

  constructor(inbound: Inbound, pattern: Uint8Array, limit: number, address: Address) {
    super()
    this.#inbound = inbound
    this.#pattern = pattern
    this.#limit = limit
    this.#address = address
  }

  /** How many bytes it is to the pattern's end; 0 while that is not there. */
  get #length(): number {
    const { queue } = this.#inbound
    const at = queue.indexOf(this.#pattern, queue.version === this.#version ? this.#seen : 0)
    this.#version = queue.version
    this.#seen = at === -1 ? Math.max(0, queue.size - this.#pattern.length + 1) : at
    return at === -1 ? 0 : at + this.#pattern.length
  }

  get isReady(): boolean {
    const length = this.#length
    return length > 0 && length <= this.#limit && !isAboutToYield()
  }

  get mustWait(): boolean {
    return this.#inbound.open && this.#inbound.queue.size < this.#limit && this.#length === 0
  }

  protected value(): Uint8Array {
    return plain(this.#inbound.takeBytes(this.#length))
  }

  protected wait(resume: Resume<Uint8Array, UntilError>): void {
    this.#inbound.await(resume, this, this.#inbound.queue.size + 1, true)
  }

  commit(): Effect.Effect<Uint8Array, UntilError> {
    const inbound = this.#inbound
    const { size } = inbound.queue
    const length = this.#length
    if (length > this.#limit || (length === 0 && size >= this.#limit)) {
      const address = this.#address()
      return Effect.fail(new MessageTooLarge({ operation: "read", address, size: length || size, limit: this.#limit }))
    }
    if (length > 0) return yieldsFirst(this) ?? this
    return settled(inbound, unexpectedEnd(inbound, this.#address, undefined)) ?? inbound.wait(this, size + 1, true)
  }
}

/** The last delimiter given as text: a connection, or many, ask for the same again and again. */
let known = { text: "", bytes: toBytes("") }

const patternOf = (delimiter: Message): Uint8Array => {
  if (typeof delimiter !== "string") return toBytes(delimiter)
  if (delimiter !== known.text) known = { text: delimiter, bytes: toBytes(delimiter) }
  return known.bytes
}

/** All bytes up to and with `delimiter`, at most `limit`. */
export const until = (
  inbound: Inbound,
  delimiter: Message,
  limit: number,
  address: Address
): Effect.Effect<Uint8Array, UntilError> => {
  const pattern = patternOf(delimiter)
  if (pattern.length === 0) {
    return Effect.die(new InvalidOption({ option: "delimiter", value: "", expected: "at least one byte" }))
  }
  if (!(limit >= 1)) {
    return Effect.die(new InvalidOption({ option: "maxLength", value: limit, expected: "a number of bytes from 1" }))
  }
  return new Until(inbound, pattern, limit, address)
}

const unexpectedEnd = (
  inbound: Inbound,
  address: Address,
  expected: number | undefined
): Effect.Effect<never, UnexpectedEnd> =>
  Effect.suspend(() =>
    Effect.fail(new UnexpectedEnd({ operation: "read", address: address(), received: inbound.queue.size, expected }))
  )

/** All that has come, as one Chunk whenever it is pulled. */
export const stream = (inbound: Inbound): Stream.Stream<Uint8Array, ReadError> =>
  emitting(({ emit, end }) => {
    const all: ReturnType<typeof emit> = taking(() =>
      inbound.queue.size === 0
        ? settled(inbound, end) ?? more
        : emit(Chunk.unsafeFromArray(inbound.takeAll().map(plain)))
    )
    const more = inbound.wait(all, 1, false)
    return all
  })

/** Not as the Buffer that Node gives: `slice` of a Buffer is a view, of any other Uint8Array a copy. */
export const plain = (bytes: Uint8Array): Uint8Array =>
  bytes.constructor === Uint8Array ? bytes : new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length)
