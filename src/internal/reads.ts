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
    return this.#inbound.mustWait
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

/** Exactly `n` bytes. */
export const exactly = (
  inbound: Inbound,
  n: number,
  address: Address
): Effect.Effect<Uint8Array, ReadError | UnexpectedEnd> => {
  if (!(Number.isSafeInteger(n) && n >= 0)) {
    return Effect.die(new InvalidOption({ option: "n", value: n, expected: "a number of bytes" }))
  }
  const self: Effect.Effect<Uint8Array, ReadError | UnexpectedEnd> = taking(() =>
    inbound.queue.size >= n
      ? Exit.succeed(plain(inbound.takeBytes(n)))
      : settled(inbound, unexpectedEnd(inbound, address, n)) ?? inbound.wait(self, n, true)
  )
  return self
}

/** All bytes up to and with `pattern`, at most `limit`. */
export const until = (
  inbound: Inbound,
  pattern: Uint8Array,
  limit: number,
  address: Address
): Effect.Effect<Uint8Array, ReadError | UnexpectedEnd | MessageTooLarge> => {
  if (pattern.length === 0) {
    return Effect.die(new InvalidOption({ option: "delimiter", value: "", expected: "at least one byte" }))
  }
  if (!(limit >= 1)) {
    return Effect.die(new InvalidOption({ option: "maxLength", value: limit, expected: "a number of bytes from 1" }))
  }
  return Effect.suspend(() => {
    const { queue } = inbound
    // How far the search has got; it begins anew when another reader has taken bytes meanwhile.
    let seen = 0
    let version = queue.version
    const self: ReturnType<typeof until> = taking(() => {
      const at = queue.indexOf(pattern, queue.version === version ? seen : 0)
      const length = at === -1 ? queue.size : at + pattern.length
      if (length > limit || (at === -1 && length === limit)) {
        return Effect.fail(new MessageTooLarge({ operation: "read", address: address(), size: length, limit }))
      }
      if (at !== -1) return Exit.succeed(plain(inbound.takeBytes(length)))
      seen = Math.max(0, queue.size - pattern.length + 1)
      version = queue.version
      return settled(inbound, unexpectedEnd(inbound, address, undefined)) ?? inbound.wait(self, queue.size + 1, true)
    })
    return self
  })
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
