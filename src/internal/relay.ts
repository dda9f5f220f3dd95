/**
 * Copying between two connections within the runtime's callbacks: a chunk goes on to the other side as it comes, without a fiber or an effect.
 * Nothing is taken before the other side has room, so who stops it at any moment loses no byte: what is not passed on can still be read.
 * It waits, is timed and is told of ends and failures as any reader and writer is.
 */
import * as Effect from "effect/Effect"
import type { ReadError, WriteError } from "../NetError.ts"
import type { ConnectionImpl } from "./connection.ts"
import type { Accept, Inbound, Reader } from "./inbound.ts"
import type { Waiting } from "./outbound.ts"
import { cancelable } from "./suspension.ts"
import { currentFiber, wake } from "./turn.ts"

type Settle = (failure?: Effect.Effect<never, never>) => void

const holder = { buffered: 1 }

/** Who is relayed may be in the middle of a message whenever nothing comes, so a drain must not take it for idle. */
export const hold = (inbound: Inbound): () => void => {
  const before = inbound.holder
  inbound.holder = holder
  return () => {
    inbound.holder = before
  }
}

/** Smaller chunks are not worth the trouble. */
const leastLent = 4096

/** Chunks that are on their way at once and are given back; of more than these, the oldest are not. */
const mostLent = 8

/** One direction. It waits for bytes, or for room, or has ended. */
class Pipe {
  copied = 0
  readonly #from: ConnectionImpl
  readonly #to: ConnectionImpl
  readonly #settle: Settle
  readonly #reader: Reader
  #stopped = false
  /** Stops the waiting for room. */
  #leave: (() => void) | undefined
  /** What the chunk passed on last has to wait for. */
  #room: Waiting | undefined
  /** What was passed on and the runtime wants back, and by which byte it has been sent, oldest first. */
  #lent: Array<{ readonly chunk: Uint8Array; readonly end: number }> = []

  constructor(from: ConnectionImpl, to: ConnectionImpl, fiber: Reader["fiber"], settle: Settle) {
    this.#from = from
    this.#to = to
    this.#settle = settle
    this.#reader = {
      fiber,
      want: 1,
      whole: false,
      retry: Effect.void as Effect.Effect<never>,
      resume: (effect) => this.#goOn(effect),
      accept: from.inbound.recycles ? (chunk) => this.#acceptLent(chunk) : (chunk) => this.#accept(chunk)
    }
  }

  /** Passes on what there is, then waits. */
  pump(): void {
    const { inbound } = this.#from
    const { outbound } = this.#to
    if (this.#room !== undefined) return this.#await(this.#room)
    while (inbound.queue.size > 0) {
      if (outbound.failure !== undefined) return this.#settle(outbound.failure())
      const turn = outbound.open ? undefined : outbound.awaitTurn()
      if (turn !== undefined) return this.#await(turn)
      if (this.#stopped) return
      const room = this.#send(inbound.take()!)
      if (room !== undefined) return this.#await(room)
    }
    if (inbound.failure !== undefined) return this.#settle(inbound.failure())
    if (!inbound.ended) return inbound.enlist(this.#reader)
    this.#to.unsafeShutdown()
    this.#settle()
  }

  stop(): void {
    this.#stopped = true
    this.#leave?.()
    this.#from.inbound.dismiss(this.#reader)
  }

  #accept(chunk: Uint8Array): ReturnType<Accept> {
    const { outbound } = this.#to
    if (!outbound.open || outbound.failure !== undefined) return false
    this.#room = this.#send(chunk)
    return this.#room === undefined ? true : this.#reader.retry
  }

  #acceptLent(chunk: Uint8Array): ReturnType<Accept> {
    if (chunk.length < leastLent) return this.#accept(chunk)
    const { outbound } = this.#to
    const accepted = this.#accept(chunk)
    if (accepted !== false) this.#lent.push({ chunk, end: outbound.total })
    const sent = outbound.total - outbound.buffered
    while (this.#lent.length > 0 && this.#lent[0]!.end <= sent) this.#from.inbound.recycle(this.#lent.shift()!.chunk)
    if (this.#lent.length > mostLent) this.#lent.shift()
    return accepted
  }

  #send(chunk: Uint8Array): Waiting | undefined {
    this.copied += chunk.length
    return this.#to.outbound.offer(chunk)
  }

  #await(room: Waiting): void {
    this.#room = undefined
    this.#leave = this.#to.outbound.attend(room, (effect) => this.#goOn(effect))
  }

  #goOn(effect: Effect.Effect<void>): void {
    this.#leave = undefined
    if (this.#stopped) return
    if (effect === Effect.void) this.pump()
    else this.#settle(effect as Effect.Effect<never>)
  }
}

/** Copies both ways until both directions have ended, or one has failed. */
export const relay = (
  a: ConnectionImpl,
  b: ConnectionImpl
): Effect.Effect<{ readonly forward: number; readonly backward: number }, ReadError | WriteError> =>
  cancelable<{ readonly forward: number; readonly backward: number }>((resume) => {
    const release = [hold(a.inbound), hold(b.inbound)]
    let left = 2
    const stop = () => {
      forward.stop()
      backward.stop()
      for (const each of release.reverse()) each()
    }
    const settle: Settle = (failure) => {
      if (left === 0 || (failure === undefined && --left > 0)) return
      left = 0
      stop()
      wake(resume, failure ?? Effect.succeed({ forward: forward.copied, backward: backward.copied }))
    }
    const fiber = currentFiber()
    const forward = new Pipe(a, b, fiber, settle)
    const backward = new Pipe(b, a, fiber, settle)
    forward.pump()
    if (left > 0) backward.pump()
    return Effect.sync(stop)
  })
