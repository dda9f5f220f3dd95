/**
 * Requests and their answers over one framed connection: who waits for what, in the order of the requests or by an identifier.
 * Its reader takes every message of the connection: an answer goes to its request, the others to the inbox.
 * When the connection breaks every request under way is told, with the cause and whether it was sent.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { Correlation, ReceiveError, SendError } from "../Framed.ts"
import { ConnectionClosed, type FrameError, FrameMalformed, UnexpectedEnd, type WriteError } from "../NetError.ts"
import type { FramedImpl } from "./framed.ts"
import { batch } from "./frameReader.ts"
import type { Inbox } from "./inbox.ts"
import { cancelable } from "./suspension.ts"

/** Why a connection is of no more use. */
export type Breakage = ReceiveError | WriteError | UnexpectedEnd

/** What becomes of a message when the connection breaks. */
export class Broken {
  readonly cause: Breakage
  readonly sent: boolean

  constructor(cause: Breakage, sent: boolean) {
    this.cause = cause
    this.sent = sent
  }
}

interface Call<Out> {
  id: unknown
  sent: boolean
  exit: Exit.Exit<Out, Broken> | undefined
  resume: ((exit: Exit.Exit<Out, Broken>) => void) | undefined
}

/** Interrupted requests whose answers are still dropped when they come. */
const memory = 1024

export class Exchange<Out, In> {
  /** Why it has ended. */
  broken: Breakage | undefined = undefined
  readonly framed: FramedImpl<Out, In>
  readonly #correlation: Correlation<Out, In> | undefined
  readonly #inbox: Pick<Inbox<Out, unknown>, "offer">
  readonly #calls = new Map<unknown, Call<Out>>()
  readonly #forgotten = new Set<unknown>()
  #onBroken: ((cause: Breakage) => void) | undefined
  // Without identifiers, requests and answers are numbered as they go and come.
  #asked = 0
  #answered = 0

  constructor(
    framed: FramedImpl<Out, In>,
    correlation: Correlation<Out, In> | undefined,
    inbox: Pick<Inbox<Out, unknown>, "offer">
  ) {
    this.framed = framed
    this.#correlation = correlation
    this.#inbox = inbox
  }

  /** Sends a message that is not answered. */
  send(message: In): Effect.Effect<void, FrameError | Broken> {
    let sent = false
    const writing = this.framed.unsafeSend(message, () => {
      sent = true
    })
    return writing === Effect.void ? Effect.void : Effect.mapError(writing, (error) => this.#refused(error, sent))
  }

  /** Sends a message and gives the answer to it. */
  request(message: In): Effect.Effect<Out, FrameError | Broken> {
    if (this.broken !== undefined) return Exit.fail(new Broken(this.broken, false))
    const call: Call<Out> = {
      id: this.#correlation?.request(message) ?? undefined,
      sent: false,
      exit: undefined,
      resume: undefined
    }
    if (this.#correlation !== undefined) {
      if (call.id === undefined) return this.#malformed("a request without an identifier")
      if (this.#calls.has(call.id)) return this.#malformed(`a request ${String(call.id)} is under way`)
      this.#calls.set(call.id, call)
    }
    const writing = this.framed.unsafeSend(message, () => {
      call.sent = true
      if (this.#correlation === undefined) this.#calls.set(call.id = this.#asked++, call)
    })
    const answer = cancelable<Out, Broken>((resume) => {
      if (call.exit !== undefined) return resume(call.exit)
      // It broke while the message waited for its turn, which a peer that only sends no more still takes.
      if (this.broken !== undefined) return resume(Exit.fail(new Broken(this.broken, call.sent)))
      call.resume = resume
      return Effect.sync(() => this.#forget(call))
    })
    return writing === Effect.void ? answer : Effect.mapError(writing, (error) => this.#refused(error, call.sent)).pipe(
      Effect.zipRight(answer),
      Effect.onError(() => Effect.sync(() => this.#forget(call)))
    )
  }

  /** Reads until the connection is of no more use. */
  get run(): Effect.Effect<never, Breakage> {
    const reader: Effect.Effect<never, Breakage> = this.framed.reader.frames(
      batch,
      (messages): Effect.Effect<never, Breakage> => {
        if (messages.length === 0) return this.#ended
        const others = messages.filter((message) => !this.#answer(message))
        return others.length === 0 ? reader : Effect.zipRight(this.#inbox.offer(others), reader)
      }
    )
    const broken = Effect.async<never, Breakage>((resume) => {
      this.#onBroken = (cause) => resume(Exit.fail(cause))
      if (this.broken !== undefined) this.#onBroken(this.broken)
    })
    return Effect.tapError(Effect.raceFirst(reader, broken), (cause) => Effect.sync(() => this.break(cause)))
  }

  /** Tells every request under way that there will be no answer. */
  break(cause: Breakage): void {
    if (this.broken !== undefined) return
    this.broken = cause
    for (const call of this.#calls.values()) this.#settle(call, Exit.fail(new Broken(cause, call.sent)))
    this.#calls.clear()
    this.#onBroken?.(cause)
  }

  /** As `break`, where this side ends it. */
  close(): void {
    this.break(new ConnectionClosed({ operation: "read", address: this.framed.connection.remoteAddress }))
  }

  /** Whether the message is the answer to a request, also to one that was interrupted. */
  #answer(message: Out): boolean {
    if (this.#correlation === undefined && this.#answered === this.#asked) return false
    const id = this.#correlation === undefined ? this.#answered++ : this.#correlation.answer(message)
    const call = this.#calls.get(id)
    if (call === undefined) return this.#correlation === undefined || this.#forgotten.delete(id)
    this.#calls.delete(id)
    this.#settle(call, Exit.succeed(message))
    return true
  }

  #settle(call: Call<Out>, exit: Exit.Exit<Out, Broken>): void {
    call.exit = exit
    call.resume?.(exit)
  }

  #forget(call: Call<Out>): void {
    if (this.#calls.get(call.id) !== call) return
    this.#calls.delete(call.id)
    if (!call.sent || this.#correlation === undefined) return
    this.#forgotten.add(call.id)
    if (this.#forgotten.size > memory) this.#forgotten.delete(this.#forgotten.values().next().value)
  }

  /** A message that was not written: its own fault, or the connection's, which is then of no more use. */
  #refused(error: SendError, sent: boolean): FrameError | Broken {
    if (error._tag === "FrameTooLarge" || error._tag === "FrameMalformed" || error._tag === "FrameTruncated") {
      return error
    }
    this.break(error)
    return new Broken(this.broken!, sent)
  }

  #malformed(reason: string): Effect.Effect<never, FrameMalformed> {
    const address = this.framed.connection.remoteAddress
    return Exit.fail(new FrameMalformed({ operation: "encode", address, offset: 0, reason }))
  }

  readonly #ended: Effect.Effect<never, UnexpectedEnd> = Effect.suspend(() =>
    Exit.fail(
      new UnexpectedEnd({ operation: "read", address: this.framed.connection.remoteAddress, received: 0 })
    )
  )
}
