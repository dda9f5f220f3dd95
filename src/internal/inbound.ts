/**
 * The reading half of a connection: what has come and was not read yet, who waits for it, and when the runtime must stop reading.
 * At most `limit` bytes wait (and what the runtime had in hand when it was paused); a waiting reader holds no bytes, so interrupting
 * one loses nothing.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as FiberRef from "effect/FiberRef"
import type { StreamHandle } from "../Transport.ts"
import { ByteQueue } from "./byteQueue.ts"
import { type Deadlines, Entry } from "./deadlines.ts"
import { suspension } from "./suspension.ts"
import { currentFiber, isAlive, type Resume, wake } from "./turn.ts"
import { WaitClock, type WaitSettings } from "./waitClock.ts"

export interface Reader {
  readonly fiber: Fiber.RuntimeFiber<unknown, unknown> | undefined
  readonly resume: Resume<never, never>
  /** What the reader does when it goes on: the read itself, once more. */
  readonly retry: Effect.Effect<never, never>
  /** Bytes below which waking it is useless. */
  readonly want: number
  /** They are to be a message, or a part of one. */
  readonly whole: boolean
  readonly accept: Accept | undefined
}

/**
 * Takes a chunk within the callback that brings it, while nobody else waits: false where it leaves the chunk to a read, true where it waits on,
 * or what its fiber is to do now.
 */
export type Accept = (chunk: Uint8Array) => boolean | Effect.Effect<never, never>

/** A fiber that was interrupted does not wait any more, unless it cannot be, and a waiter without a canceler is not told. */
const isInterrupted = ({ fiber }: Reader): boolean =>
  fiber !== undefined && !Cause.isEmpty(fiber.getFiberRef(FiberRef.interruptedCause))

/** Nobody, of all connections: an array grows by room for seventeen with its first element, so one that is made whole is cheaper. */
const none: ReadonlyArray<Reader> = []

/** Makes the error of a read that has waited too long. */
export interface Timeouts {
  readTimedOut(): Effect.Effect<never, never>
}

export class Inbound extends Entry {
  readonly queue = new ByteQueue()
  total = 0
  /** The peer's FIN has come. */
  ended = false
  /** Why no more bytes will come, other than the peer's FIN: makes the error of the next read. */
  failure: (() => Effect.Effect<never, never>) | undefined = undefined
  /** Discards what comes instead of keeping it, and remembers that something came. */
  discarding = false
  discarded = 0
  /** Somebody has waited for bytes, so the runtime was let read. */
  started = false
  /** What holds bytes that it has taken and that are no message yet. */
  holder: { readonly buffered: number } | undefined = undefined
  /** What was taken has ended in the middle of what the peer says: more of that is likely to be on its way. */
  cutShort = false
  /** Keeps the time that readers wait, on a server. */
  readonly waits: WaitClock | undefined
  #flowing = false
  #readers = none
  /** The fiber other than the handler's that has waited last. */
  #visitor: Fiber.RuntimeFiber<unknown, unknown> | undefined
  #onGone: (() => void) | undefined
  #retirement: (() => Effect.Effect<never, never>) | undefined
  /** How many bytes had come when it retired. */
  #last: number | undefined
  #watcher: (() => void) | undefined
  #endListeners: Array<() => void> | undefined
  readonly #handle: StreamHandle
  readonly #limit: number
  readonly #deadlines: Deadlines | undefined
  readonly #timeouts: Timeouts

  constructor(
    handle: StreamHandle,
    limit: number,
    deadlines: Deadlines | undefined,
    timeouts: Timeouts,
    waits: WaitSettings | undefined
  ) {
    super()
    this.#handle = handle
    this.#limit = limit
    this.#deadlines = deadlines
    this.#timeouts = timeouts
    this.waits = waits && new WaitClock(waits)
  }

  /** The runtime was told to stop reading: bytes may wait in the kernel. */
  get paused(): boolean {
    return !this.#flowing
  }

  get #done(): boolean {
    return this.ended || this.failure !== undefined
  }

  /** More may come, as far as is known. */
  get open(): boolean {
    return !this.#done && this.#retirement === undefined
  }

  push(chunk: Uint8Array): void {
    if (this.failure !== undefined && !this.discarding) return
    this.total += chunk.length
    if (this.discarding) {
      this.discarded += chunk.length
      return
    }
    this.waits?.came(chunk.length)
    if (!this.#passedOn(chunk)) this.#keep(chunk)
    // Who still waits has got bytes, if not all he wants: his time runs anew.
    if (this.#readers.length > 0) {
      this.#deadlines?.arm(this)
      this.waits?.begin(this.#isBetween(this.waits, this.#readers[0]!))
    }
    this.#watcher?.()
  }

  /** Gives the chunk to the only one who waits, if that one takes it here. It does not wait meanwhile: more can come, or the end. */
  #passedOn(chunk: Uint8Array): boolean {
    const readers = this.#readers
    if (readers.length !== 1 || this.queue.size > 0) return false
    const reader = readers[0]!
    if (reader.accept === undefined || isInterrupted(reader)) return false
    this.#readers = none
    const outcome = reader.accept(chunk)
    if (outcome !== false && outcome !== true) this.#goOn(reader, outcome)
    else if (outcome && (this.queue.size > 0 || this.#done || this.retiring)) this.#goOn(reader, reader.retry)
    else this.#readers = this.#readers.length === 0 ? readers : [reader, ...this.#readers]
    return outcome !== false
  }

  #goOn(reader: Reader, effect: Effect.Effect<never, never>): void {
    if (this.#readers.length === 0) this.#deadlines?.disarm(this)
    wake(reader.resume, effect)
  }

  #keep(chunk: Uint8Array): void {
    this.queue.push(chunk)
    this.#wakeReaders()
    // Who waits still wants more than that, and would never have it.
    if (this.queue.size >= this.#limit && !this.#readers.some(isAlive)) this.#pause()
  }

  end(): void {
    this.ended = true
    this.#tellEnd()
  }

  fail(failure: () => Effect.Effect<never, never>): void {
    if (this.failure === undefined) this.failure = failure
    this.#tellEnd()
  }

  #tellEnd(): void {
    this.#wakeReaders()
    this.#watcher?.()
    const listeners = this.#endListeners
    this.#endListeners = undefined
    if (listeners !== undefined) { for (const listener of listeners) listener() }
  }

  /** Somebody waits for bytes, and nothing has been begun: no part of a message is here. */
  get idle(): boolean {
    if (this.queue.size > 0 || this.#done || (this.holder?.buffered ?? 0) > 0) return false
    this.#readers = this.#readers.filter(isAlive)
    return this.#readers.length > 0
  }

  /**
   * What has come is the last, with the rest of a message of which a part has: reads fail from the first that waits with nothing begun.
   * At once, if one waits so now. Whether one did.
   */
  retire(failure: () => Effect.Effect<never, never>): boolean {
    if (this.#retirement === undefined) this.#last = this.total
    this.#retirement ??= failure
    if (this.#leave()) return true
    // A peer that never pauses would never be done with.
    if (this.#readers.length === 0) this.#pause()
    return false
  }

  get retiring(): boolean {
    return this.#retirement !== undefined
  }

  /** For a reader of messages that has taken so many bytes which are in none yet: whether it has had the last. Reads fail then. */
  retired(begun: number): boolean {
    if (this.#retirement === undefined || this.total - this.queue.size - begun < this.#last!) return false
    this.fail(this.#retirement)
    return true
  }

  #leave(): boolean {
    if (this.#retirement === undefined || !this.idle) return false
    this.fail(this.#retirement)
    return true
  }

  /** Reads on and keeps nothing, so that a close is not turned into a reset by bytes that nobody wants. */
  discard(): void {
    this.discarding = true
    this.queue.clear()
    if (!this.ended) this.#resume()
  }

  /** The next chunk, as the runtime gave it: a Buffer of Node is searched faster than another Uint8Array. */
  take(): Uint8Array | undefined {
    const chunk = this.queue.shift()
    if (chunk !== undefined) this.#taken()
    return chunk
  }

  /** `n` bytes, which must be there. */
  takeBytes(n: number): Uint8Array {
    const bytes = this.queue.take(n)
    this.#taken()
    return bytes
  }

  takeAll(): Array<Uint8Array> {
    const chunks = this.queue.takeAll()
    this.#taken()
    return chunks
  }

  unread(bytes: Uint8Array): void {
    if (bytes.length === 0 || this.discarding) return
    this.queue.unshift(bytes)
    this.waits?.stop()
    this.#wakeReaders()
    if (this.#readers.length > 0) this.waits?.begin(false)
  }

  /** Lets the runtime read on once there is room. */
  #taken(): void {
    if (this.#readers.length > 0) this.#recall()
    if (!this.#flowing && !this.#done && this.#retirement === undefined && this.queue.size < this.#limit) this.#resume()
  }

  /**
   * Suspends the reader until there are `want` bytes, or the end, or a failure; then runs `retry`. It may be run many times. `whole`: they
   * are to be a message, or a part of one. `accept`: takes them without its fiber where it can.
   * Without a canceler: a resumption of a fiber that is gone is nothing, and the bytes are still in the queue.
   */
  wait<A, E, R>(
    retry: Effect.Effect<A, E, R>,
    want: number,
    whole: boolean,
    accept?: (chunk: Uint8Array) => boolean | Effect.Effect<A, E, R>
  ): Effect.Effect<A, E, R> {
    return suspension<A, E, R>((resume) => {
      if (this.queue.size >= want || this.#done) {
        resume(retry)
        return
      }
      this.await(resume, retry, want, whole, accept)
    })
  }

  /** Has the present fiber resumed with `retry` when there are `want` bytes. */
  await<A, E, R>(
    resume: (effect: Effect.Effect<A, E, R>) => void,
    retry: Effect.Effect<A, E, R>,
    want: number,
    whole: boolean,
    accept?: (chunk: Uint8Array) => boolean | Effect.Effect<A, E, R>
  ): void {
    this.enlist({ fiber: currentFiber(), resume, retry, want, whole, accept } as unknown as Reader)
  }

  /** Adds one who waits. */
  enlist(reader: Reader): void {
    this.#readers = this.#readers.length === 0 ? [reader] : [...this.#readers.filter(isAlive), reader]
    this.#deadlines?.arm(this)
    if (this.waits !== undefined) this.#keepTime(this.waits, reader)
    this.started = true
    if (this.#retirement !== undefined && this.#leave()) return
    if (!this.#flowing) this.#resume()
  }

  /** Who waited does so no more. */
  dismiss(reader: Reader): void {
    this.#readers = this.#readers.filter((other) => other !== reader)
    if (this.#readers.length > 0) return
    this.#deadlines?.disarm(this)
    this.waits?.stop()
  }

  /** Whether the runtime reads again into chunks that are given back to it. */
  get recycles(): boolean {
    return this.#handle.recycle !== undefined
  }

  /** Gives a chunk back to the runtime: nobody looks at its bytes again. */
  recycle(chunk: Uint8Array): void {
    this.#handle.recycle?.(chunk)
  }

  /** Lets the runtime read while nobody does, and tells of bytes, the end or a failure when they come; `undefined` stops the telling. */
  watch(watcher: (() => void) | undefined): void {
    this.#watcher = watcher
    if (watcher === undefined || this.#done) return
    this.started = true
    this.#taken()
  }

  /** Calls back when nothing more will come, and lets the runtime read ahead meanwhile; gives what takes it back. */
  onEnd(listener: () => void): () => void {
    const listeners = this.#endListeners ??= []
    listeners.push(listener)
    this.started = true
    this.#taken()
    return () => void listeners.splice(listeners.indexOf(listener), 1)
  }

  /** Who waits has no part of a message yet. Not asked where it does not matter. */
  #isBetween(waits: WaitClock, { whole }: Reader): boolean {
    return waits.paced && whole && this.queue.size === 0 && (this.holder?.buffered ?? 0) === 0
  }

  #keepTime(waits: WaitClock, reader: Reader): void {
    waits.begin(this.#isBetween(waits, reader))
    const { fiber } = reader
    if (fiber === undefined || fiber === waits.owner || fiber === this.#visitor) return
    // It may be interrupted without the handler's end, and is not woken then: its time ends with it.
    this.#onGone ??= () => {
      this.#readers = this.#readers.filter(isAlive)
      if (this.#readers.length === 0) waits.stop()
    }
    this.#visitor = fiber
    fiber.removeObserver(this.#onGone)
    fiber.addObserver(this.#onGone)
  }

  expire(): void {
    const readers = this.#readers
    this.#readers = none
    this.waits?.stop()
    for (const { resume } of readers) wake(resume, this.#timeouts.readTimedOut())
  }

  /** Who waits for more than there was looks again when another has taken of it: what is to come may be all that he needs. */
  #recall(): void {
    const readers = this.#readers
    this.#readers = none
    this.#deadlines?.disarm(this)
    this.waits?.stop()
    for (const { resume, retry } of readers) resume(retry)
  }

  #wakeReaders(): void {
    const readers = this.#readers
    if (readers.length === 0) return
    const size = this.queue.size
    const all = this.#done
    if (readers.length === 1) {
      const reader = readers[0]!
      if (!all && size < reader.want) return
      this.#readers = none
      this.#deadlines?.disarm(this)
      wake(reader.resume, reader.retry)
      return
    }
    this.#readers = all ? none : readers.filter((reader) => size < reader.want)
    if (this.#readers.length === 0) this.#deadlines?.disarm(this)
    for (const reader of readers) if (all || size >= reader.want) wake(reader.resume, reader.retry)
  }

  #pause(): void {
    if (!this.#flowing) return
    this.#flowing = false
    this.#handle.pause()
  }

  #resume(): void {
    if (this.#flowing) return
    this.#flowing = true
    this.#handle.resume()
  }
}
