/**
 * The writing half of a connection: what was accepted and not yet given to the runtime, and who waits for room.
 * A message is taken whole or not at all, in the order of the calls; interrupting a writer that waits withdraws a message of which
 * nothing has left, and only stops the waiting otherwise. Small messages of one turn of the event loop leave in one write.
 */
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { StreamHandle } from "../Transport.ts"
import { concat } from "./byteQueue.ts"
import { type Deadlines, Entry } from "./deadlines.ts"
import { yieldsFirst } from "./reads.ts"
import { cancelable } from "./suspension.ts"
import { type Resume, turn, wake } from "./turn.ts"
import type { Pace } from "./waitClock.ts"

/** Messages up to this size are joined by copying; beyond, a copy costs more than a system call. */
const joinLimit = 65536

/** Messages up to this size may wait for others; beyond, copying them together costs as much as it saves. */
const smallLimit = 2048

/** A larger message goes to the runtime in pieces, so that its progress can be seen and memory in the runtime stays bounded. */
const pieceSize = 262144

/** A message, or a writer, that there is no room for yet. */
export interface Waiting {
  /** What has not been given to the runtime yet; `undefined` once all has. */
  chunk: Uint8Array | undefined
  begun: boolean
  resume: Resume<void, never> | undefined
  /** Told when the message will be sent, whatever becomes of its writer. */
  readonly accepted: (() => void) | undefined
}

/** Messages that may still be added to, until they are taken. */
export interface Pending {
  take(): ReadonlyArray<Uint8Array>
}

/** Nobody, of all connections: most never wait. Never changed. */
const none: Array<Waiting> = []

/** Makes the error of a write that has waited too long. */
export interface Timeouts {
  writeTimedOut(): Effect.Effect<never, never>
}

const sizeOf = (chunks: ReadonlyArray<Uint8Array>): number => {
  let size = 0
  for (const chunk of chunks) size += chunk.length
  return size
}

const nothing: Pace = { bytes: 0, millis: 0 }

export class Outbound extends Entry {
  /** Bytes accepted from writers. */
  total = 0
  /** Our FIN was asked for: by `shutdown` or `close`. */
  ended = false
  /** Why no more bytes will leave: makes the error of the next write. */
  failure: (() => Effect.Effect<never, never>) | undefined = undefined
  #full = false
  #lastTurn = -1
  #pending: Pending | undefined
  #held: Array<Uint8Array> | undefined
  #heldSize = 0
  #waiting = none
  #done: (() => void) | undefined
  readonly #timeouts: Timeouts
  readonly #handle: StreamHandle
  /** What has come and was not read. */
  readonly #unread: { readonly size: number }
  readonly #limit: number
  readonly #deadlines: Deadlines | undefined
  readonly #clock: Clock.Clock | undefined
  /** When the present wait began, where that matters, or the present average of it; -1 where nobody waits. */
  #since = -1
  /** How much the kernel had taken at that time, and when the deadline was armed. */
  #takenSince = 0
  #takenArmed = 0

  constructor(
    handle: StreamHandle,
    unread: { readonly size: number },
    limit: number,
    deadlines: Deadlines | undefined,
    timeouts: Timeouts,
    clock: Clock.Clock | undefined
  ) {
    super()
    this.#clock = clock
    this.#handle = handle
    this.#unread = unread
    this.#limit = limit
    this.#deadlines = deadlines
    this.#timeouts = timeouts
  }

  /** Bytes accepted that the kernel has not taken yet. */
  get buffered(): number {
    let size = this.#heldSize + this.#handle.bufferedAmount
    for (const { begun, chunk } of this.#waiting) if (begun && chunk !== undefined) size += chunk.length
    return size
  }

  /** Bytes that the kernel has taken. */
  get #taken(): number {
    return this.total - this.buffered
  }

  /** What the kernel has taken since somebody waits for it. */
  pace(now: number): Pace {
    return this.#since < 0 ? nothing : { bytes: this.#taken - this.#takenSince, millis: now - this.#since }
  }

  /** Begins a new average. */
  restart(now: number): void {
    this.#since = now
    this.#takenSince = this.#taken
  }

  /** Writes one message. Settles at once while there is room. */
  write(chunk: Uint8Array, accepted?: () => void): Effect.Effect<void> {
    if (this.failure !== undefined) return this.failure()
    if (chunk.length === 0) {
      accepted?.()
      return Effect.void
    }
    return this.open ? this.#settled(this.offer(chunk, accepted)) : this.#queue(chunk, accepted)
  }

  /** A fiber that yielded between taking its place and waiting in it could not be made to leave by an interruption. */
  #queue(chunk: Uint8Array, accepted: (() => void) | undefined): Effect.Effect<void> {
    return yieldsFirst(Effect.suspend(() => this.write(chunk, accepted))) ?? this.#settled(this.offer(chunk, accepted))
  }

  /** There is room, and nobody waits for it. */
  get open(): boolean {
    return !this.#full && this.#waiting.length === 0
  }

  /** Whether a message of so many bytes has nothing to wait for. */
  hasRoom(size: number): boolean {
    return this.failure === undefined && this.open && size + this.#handle.bufferedAmount < this.#limit
  }

  /** Gives one message to a half that has not failed; what its writer has to wait for, if anything. */
  offer(chunk: Uint8Array, accepted?: () => void): Waiting | undefined {
    const { open } = this
    this.collect()
    if (!open || chunk.length > pieceSize) return this.#enqueue(chunk, accepted, open)
    accepted?.()
    const now = turn()
    // Who reads on in what has come may have more to say to it, which leaves with this.
    const more = this.#unread.size > 0 && chunk.length <= smallLimit
    if (more || this.#lastTurn === now || this.#heldSize > 0) {
      this.#hold(chunk)
      return undefined
    }
    this.#lastTurn = now
    this.total += chunk.length
    return this.#handle.write(chunk) ? undefined : this.#room()
  }

  /** For who has nothing to write yet: its turn, once there is room. Nothing if there is. */
  awaitTurn(): Waiting | undefined {
    return this.#enqueue(undefined, undefined, false)
  }

  /** Resumes the writer when there is room, time is up or nothing will leave any more; gives what stops the waiting. */
  attend(entry: Waiting, resume: Resume<void, never>): () => void {
    entry.resume = resume
    if (this.due === undefined) this.#arm()
    if (this.#clock !== undefined && this.#since < 0) this.restart(this.#clock.unsafeCurrentTimeMillis())
    return () => {
      entry.resume = undefined
      if (!entry.begun) this.#waiting = this.#waiting.filter((other) => other !== entry)
    }
  }

  /** Writes many chunks as one message. */
  writeAll(chunks: ReadonlyArray<Uint8Array>, accepted?: () => void): Effect.Effect<void> {
    return this.failure === undefined && this.open
      ? this.#settled(this.offerAll(chunks, accepted))
      : this.write(concat(chunks, sizeOf(chunks)), accepted)
  }

  /** `offer`, of many chunks as one message, while there is room. */
  offerAll(chunks: ReadonlyArray<Uint8Array>, accepted?: () => void): Waiting | undefined {
    const size = sizeOf(chunks)
    if (chunks.length > 1 && size > joinLimit) {
      accepted?.()
      this.flush()
      this.total += size
      return this.#handle.writev(chunks) ? undefined : this.#room()
    }
    if (size > 0) return this.offer(concat(chunks, size), accepted)
    accepted?.()
    return undefined
  }

  /** Takes what `pending` has then, before anything else is written and at the latest when the turn ends. Where nothing has to wait. */
  defer(pending: Pending): void {
    if (this.#pending === pending) return
    this.collect()
    this.#pending = pending
    queueMicrotask(() => this.flush())
  }

  /** Takes what was deferred to the messages that leave when the turn ends. */
  collect(): void {
    const pending = this.#pending
    if (pending === undefined) return
    this.#pending = undefined
    for (const chunk of pending.take()) this.#hold(chunk)
  }

  /** Keeps a message back until the turn ends, to leave with the others of it. */
  #hold(chunk: Uint8Array): void {
    if (this.#heldSize === 0) queueMicrotask(() => this.flush())
    ;(this.#held ??= []).push(chunk)
    this.#heldSize += chunk.length
    this.total += chunk.length
    if (this.#heldSize >= joinLimit) this.flush()
  }

  /** Gives what was held for this turn to the runtime. */
  flush(): void {
    this.collect()
    const size = this.#heldSize
    if (size === 0) return
    const held = this.#held!
    this.#held = undefined
    this.#heldSize = 0
    if (this.failure !== undefined) return
    if (!this.#handle.write(concat(held, size))) this.#full = true
  }

  drained(): void {
    this.#full = false
    this.#pump()
  }

  /** Ends the writers that wait with nothing sent, and lets the message that has begun go out whole; then `done` is called. */
  finish(failure: () => Effect.Effect<never, never>, done: () => void): void {
    this.flush()
    this.ended = true
    this.failure ??= failure
    const begun = this.#waiting.filter((entry) => entry.begun)
    const refused = this.#waiting.filter((entry) => !entry.begun)
    this.#waiting = begun
    this.#done = done
    for (const { resume } of refused) resume?.(failure())
    this.#pump()
  }

  /** Nothing will leave any more. */
  fail(failure: () => Effect.Effect<never, never>): void {
    this.ended = true
    this.failure ??= failure
    this.#pending = undefined
    this.#held = undefined
    this.#heldSize = 0
    this.#done = undefined
    this.#deadlines?.disarm(this)
    const waiting = this.#waiting
    this.#waiting = none
    for (const { resume } of waiting) if (resume !== undefined) wake(resume, this.failure())
  }

  expire(): void {
    // The runtime tells only when there is room again; less than that is progress too.
    if (this.#taken > this.#takenArmed) return this.#arm()
    const first = this.#waiting.find((entry) => entry.resume !== undefined)
    if (first?.resume === undefined) return
    const { resume } = first
    first.resume = undefined
    if (!first.begun) this.#waiting.splice(this.#waiting.indexOf(first), 1)
    if (this.#waiting.some((entry) => entry.resume !== undefined)) this.#arm()
    wake(resume, this.#timeouts.writeTimedOut())
  }

  #enqueue(chunk: Uint8Array | undefined, accepted: (() => void) | undefined, open: boolean): Waiting | undefined {
    const entry: Waiting = { chunk, begun: chunk === undefined, resume: undefined, accepted }
    this.flush()
    this.#append(entry)
    // Who found room begins, even if what was held before took the last of it: he may have been told already that his message is accepted.
    if (open && chunk !== undefined) this.#handOver(entry, chunk)
    this.#pump()
    return this.#waiting.includes(entry) ? entry : undefined
  }

  /** The runtime keeps more than it may. */
  #room(): Waiting {
    this.#full = true
    const entry: Waiting = { chunk: undefined, begun: true, resume: undefined, accepted: undefined }
    this.#append(entry)
    return entry
  }

  #append(entry: Waiting): void {
    if (this.#waiting === none) this.#waiting = []
    this.#waiting.push(entry)
  }

  #settled(entry: Waiting | undefined): Effect.Effect<void> {
    return entry === undefined ? Effect.void : this.#await(entry)
  }

  #await(entry: Waiting): Effect.Effect<void> {
    return cancelable<void>((resume) => {
      if (!this.#waiting.includes(entry)) return resume(this.failure?.() ?? Effect.void)
      return Effect.sync(this.attend(entry, resume))
    })
  }

  /** Hands over waiting messages while there is room, and wakes their writers. */
  #pump(): void {
    while (!this.#full && this.#waiting.length > 0) {
      const entry = this.#waiting[0]!
      if (entry.chunk !== undefined) this.#handOver(entry, entry.chunk)
      if (this.#full || entry.chunk !== undefined) continue
      this.#waiting.shift()
      if (entry.resume !== undefined) wake(entry.resume, Effect.void)
    }
    if (this.#waiting.length > 0) {
      // The peer takes bytes: who still waits has its time anew.
      if (this.due !== undefined) this.#arm()
      return
    }
    this.#deadlines?.disarm(this)
    this.#since = -1
    const done = this.#done
    this.#done = undefined
    done?.()
  }

  #arm(): void {
    if (this.#deadlines === undefined) return
    this.#takenArmed = this.#taken
    this.#deadlines.arm(this)
  }

  #handOver(entry: Waiting, chunk: Uint8Array): void {
    const piece = chunk.length > pieceSize ? chunk.subarray(0, pieceSize) : chunk
    if (!entry.begun) {
      entry.begun = true
      this.total += chunk.length
      entry.accepted?.()
    }
    entry.chunk = piece.length === chunk.length ? undefined : chunk.subarray(pieceSize)
    this.#full = !this.#handle.write(piece)
  }
}
