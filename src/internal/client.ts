/**
 * The life behind `FramedClient`: one fiber that dials, serves the connection until it breaks, waits by the schedule, and begins anew.
 * Calls go to the present exchange, or wait in the order in which they were made for the next, as the rule allows.
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import type * as Schedule from "effect/Schedule"
import * as ScheduleDecision from "effect/ScheduleDecision"
import * as Intervals from "effect/ScheduleIntervals"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Subscribable from "effect/Subscribable"
import * as SubscriptionRef from "effect/SubscriptionRef"
import * as Framed from "../Framed.ts"
import type { Failure, FramedClient, State } from "../FramedClient.ts"
import type { Codec } from "../framing/Codec.ts"
import type { ConnectOptions } from "../Net.ts"
import { ConnectionClosed, ConnectTimeout, Disconnected, type FrameError } from "../NetError.ts"
import type { Network } from "../Network.ts"
import type { SocketAddress } from "../SocketAddress.ts"
import { Broken, Exchange } from "./exchange.ts"
import type { FramedImpl } from "./framed.ts"
import { Inbox } from "./inbox.ts"
import { keptOnSuccess } from "./keptOnSuccess.ts"
import { isOptionError } from "./options.ts"
import { cancelable } from "./suspension.ts"

/**
 * Marks every client.
 *
 * @category symbols
 */
export const TypeId: unique symbol = Symbol.for("effect-netkit/FramedClient")

/** @category symbols */
export type TypeId = typeof TypeId

export interface Resolved<Out, In, E, R> {
  readonly addresses: readonly [SocketAddress, ...Array<SocketAddress>]
  readonly codec: Codec<Out, In>
  readonly connect: ConnectOptions & { readonly connectTimeout: Duration.Duration }
  readonly onConnect: (session: Framed.Framed<Out, In>) => Effect.Effect<unknown, E, R>
  readonly schedule: Schedule.Schedule<unknown, Failure<E>>
  /** Milliseconds. */
  readonly resetAfter: number
  readonly mayWait: number
  readonly correlation: Framed.Correlation<Out, In> | undefined
}

/** A message on its way. */
interface Call<Out, In, A> {
  /** Its place among all calls. */
  readonly turn: number
  /** Writes it at once. */
  readonly go: (exchange: Exchange<Out, In>) => Effect.Effect<A, FrameError | Broken>
  readonly repeatable: boolean
  /** Whether a peer may have got it. */
  sent: boolean
}

interface Waiting<Out, In> {
  readonly turn: number
  readonly resume: (exchange: Exchange<Out, In>) => void
  readonly refuse: () => void
}

export class Client<Out, In, E> implements FramedClient<Out, In, E> {
  readonly [TypeId]: TypeId = TypeId
  readonly state: FramedClient<Out, In, E>["state"]
  readonly messages: FramedClient<Out, In, E>["messages"]
  readonly #present: SubscriptionRef.SubscriptionRef<State<E>>
  readonly #inbox: Inbox<Out, Disconnected>
  readonly #mayWait: number
  #exchange: Exchange<Out, In> | undefined
  #connectedAt = Infinity
  /** Why the last attempt failed or the last connection broke. */
  #cause: Failure<E> | undefined
  /** What becomes of all further calls. */
  #closed: ((sent: boolean) => Exit.Exit<never, Disconnected>) | undefined
  #waiting: Array<Waiting<Out, In>> = []
  #turn = 0

  static start<Out, In, E, R>(
    options: Resolved<Out, In, E, R>
  ): Effect.Effect<FramedClient<Out, In, E>, never, Network | Scope.Scope | Exclude<R, Scope.Scope>> {
    return Effect.gen(function* () {
      const state = yield* SubscriptionRef.make<State<E>>({ _tag: "Connecting", attempt: 1 })
      const client = new Client<Out, In, E>(state, yield* Inbox.make<Out, Disconnected>(), options.mayWait)
      // Ends in order also when it is interrupted before it has begun.
      yield* Effect.interruptible(client.#live(options)).pipe(
        Effect.onExit((exit) => client.#end(exit, options.addresses[0])),
        Effect.forkScoped,
        Effect.uninterruptible
      )
      return client
    })
  }

  private constructor(
    present: SubscriptionRef.SubscriptionRef<State<E>>,
    inbox: Inbox<Out, Disconnected>,
    mayWait: number
  ) {
    this.#present = present
    this.#inbox = inbox
    this.#mayWait = mayWait
    this.messages = inbox.stream
    this.state = Subscribable.make({
      get: SubscriptionRef.get(present),
      changes: Stream.takeUntil(present.changes, ({ _tag }) => _tag === "Closed")
    })
  }

  get send(): FramedClient<Out, In, E>["send"] {
    return (message) => this.#call((exchange) => exchange.send(message), false)
  }

  get request(): FramedClient<Out, In, E>["request"] {
    return (message, options) => this.#call((exchange) => exchange.request(message), options?.idempotent ?? false)
  }

  get connection(): FramedClient<Out, In, E>["connection"] {
    return Effect.suspend((): FramedClient<Out, In, E>["connection"] => {
      const exchange = this.#usable
      if (exchange !== undefined) return Exit.succeed(exchange.framed.connection)
      if (this.#closed !== undefined) return this.#closed(false)
      // A connection that broke is the present one until it is closed to the end.
      const settled = Stream.filter(this.state.changes, ({ _tag }) => _tag === "Closed" || this.#usable !== undefined)
      return Effect.zipRight(Stream.runHead(settled), this.connection)
    })
  }

  // --- calls ---

  #call<A>(go: Call<Out, In, A>["go"], repeatable: boolean): Effect.Effect<A, FrameError | Disconnected> {
    return Effect.suspend(() => this.#submit({ turn: this.#turn++, go, repeatable, sent: false }))
  }

  get #usable(): Exchange<Out, In> | undefined {
    return this.#exchange?.broken === undefined ? this.#exchange : undefined
  }

  #submit<A>(call: Call<Out, In, A>): Effect.Effect<A, FrameError | Disconnected> {
    const usable = this.#usable
    if (usable !== undefined) return this.#use(usable, call)
    return cancelable((resume) => {
      const usable = this.#usable
      if (usable !== undefined) return resume(this.#use(usable, call))
      if (this.#closed !== undefined || !this.#mayWaitNow) return resume(this.#refusal(call))
      const waiting: Waiting<Out, In> = {
        turn: call.turn,
        resume: (exchange) => resume(this.#use(exchange, call)),
        refuse: () => resume(this.#refusal(call))
      }
      this.#enqueue(waiting)
      return Effect.sync(() => this.#withdraw(waiting))
    })
  }

  #use<A>(exchange: Exchange<Out, In>, call: Call<Out, In, A>): Effect.Effect<A, FrameError | Disconnected> {
    try {
      const going = call.go(exchange)
      return Effect.catchAll(going, (error) => error instanceof Broken ? this.#broken(call, error) : Exit.fail(error))
    } catch (defect) {
      return Effect.die(defect)
    }
  }

  #broken<A>(call: Call<Out, In, A>, { cause, sent }: Broken): Effect.Effect<A, FrameError | Disconnected> {
    call.sent ||= sent
    return call.repeatable || !call.sent ? this.#submit(call) : Exit.fail(disconnected(cause, true))
  }

  get #why(): Failure<E> | undefined {
    return this.#exchange?.broken ?? this.#cause
  }

  get #mayWaitNow(): boolean {
    return this.#mayWait === 0 ? this.#why === undefined : this.#waiting.length < this.#mayWait
  }

  #refusal(call: Call<Out, In, unknown>): Exit.Exit<never, Disconnected> {
    return this.#closed?.(call.sent) ?? Exit.fail(disconnected(this.#why, call.sent))
  }

  /** Who had written to the broken connection in vain comes back before those who have called since. */
  #enqueue(waiting: Waiting<Out, In>): void {
    let at = this.#waiting.length
    while (at > 0 && this.#waiting[at - 1]!.turn > waiting.turn) at--
    this.#waiting.splice(at, 0, waiting)
  }

  /** Not there any more where it was resumed and interrupted in the same turn. */
  #withdraw(waiting: Waiting<Out, In>): void {
    const at = this.#waiting.indexOf(waiting)
    if (at !== -1) this.#waiting.splice(at, 1)
  }

  #takeWaiting(): ReadonlyArray<Waiting<Out, In>> {
    const waiting = this.#waiting
    this.#waiting = []
    return waiting
  }

  // --- life ---

  #live<R>(options: Resolved<Out, In, E, R>): Effect.Effect<never, Failure<E>, Network | Exclude<R, Scope.Scope>> {
    const { resetAfter, schedule } = options
    const attempt = Effect.scoped(Effect.flatMap(open(options), (framed) => this.#serve(framed, options.correlation)))
    return Effect.gen(this, function* () {
      let retrying: unknown = schedule.initial
      for (let number = 1;; number++) {
        yield* this.#become({ _tag: "Connecting", attempt: number })
        const failure = yield* Effect.flip(attempt)
        const now = yield* Clock.currentTimeMillis
        if (now - this.#connectedAt >= resetAfter) {
          retrying = schedule.initial
          number = 0
        }
        const [next, , decision] = yield* schedule.step(now, failure, retrying)
        this.#lost(failure)
        if (isOptionError(failure) || ScheduleDecision.isDone(decision)) return yield* Effect.fail(failure)
        retrying = next
        // A point in time is a whole millisecond.
        const until = Math.ceil(Intervals.start(decision.intervals))
        yield* this.#become({ _tag: "Waiting", until: DateTime.unsafeMake(until), cause: failure })
        yield* Effect.sleep(until - now)
      }
    }) as Effect.Effect<never, Failure<E>, Network | Exclude<R, Scope.Scope>>
  }

  #become(state: State<E>): Effect.Effect<void> {
    return SubscriptionRef.set(this.#present, state)
  }

  #serve(
    framed: FramedImpl<Out, In>,
    correlation: Framed.Correlation<Out, In> | undefined
  ): Effect.Effect<never, Failure<E>> {
    return Effect.flatMap(Clock.currentTimeMillis, (now) => {
      const exchange = new Exchange(framed, correlation, this.#inbox)
      this.#connectedAt = now
      this.#exchange = exchange
      // In one step, so that nobody overtakes who has waited.
      for (const { resume } of this.#takeWaiting()) resume(exchange)
      return this.#become({ _tag: "Connected", address: framed.connection.remoteAddress }).pipe(
        Effect.zipRight(exchange.run),
        Effect.ensuring(Effect.sync(() => exchange.close()))
      )
    })
  }

  #lost(failure: Failure<E>): void {
    this.#exchange = undefined
    this.#connectedAt = Infinity
    this.#cause = failure
    if (this.#mayWait === 0) { for (const { refuse } of this.#takeWaiting()) refuse() }
  }

  #end(exit: Exit.Exit<never, Failure<E>>, address: SocketAddress): Effect.Effect<void> {
    return Effect.suspend(() => {
      const cause = Exit.isFailure(exit) ? exit.cause : Cause.empty
      const defects = Cause.keepDefects(cause)
      const failure = Option.getOrUndefined(Cause.failureOption(cause))
      const reason = failure ?? new ConnectionClosed({ operation: "send", address })
      this.#exchange?.close()
      this.#exchange = undefined
      this.#closed = (sent) =>
        Option.isSome(defects) ? Exit.failCause(defects.value) : Exit.fail(disconnected(reason, sent))
      for (const { refuse } of this.#takeWaiting()) refuse()
      const byUs = failure === undefined && Option.isNone(defects)
      return this.#become({ _tag: "Closed", cause: failure }).pipe(
        Effect.zipRight(this.#inbox.end(byUs ? Exit.void : this.#closed(false)))
      )
    })
  }
}

const disconnected = (cause: unknown, sent: boolean): Disconnected =>
  new Disconnected({ operation: "send", cause, sent })

/** Connects to the first address that takes the connection and passes `onConnect`. */
const open = <Out, In, E, R>(
  options: Resolved<Out, In, E, R>
): Effect.Effect<FramedImpl<Out, In>, Failure<E>, Network | Scope.Scope | R> => {
  const { addresses, codec, connect, onConnect } = options
  return Effect.firstSuccessOf(addresses.map((address) =>
    keptOnSuccess(Effect.gen(function* () {
      const framed = yield* Framed.connect(address, codec, connect)
      yield* Effect.timeoutFail(onConnect(framed), {
        duration: connect.connectTimeout,
        onTimeout: () => new ConnectTimeout({ operation: "connect", address, timeout: connect.connectTimeout })
      })
      return framed as FramedImpl<Out, In>
    }))
  ))
}
