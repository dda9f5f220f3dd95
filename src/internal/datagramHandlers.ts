/**
 * The handlers of a server of datagrams: started within the receive callback, one fiber a datagram where there is
 * anything to wait for. Counts what runs until its answer is sent, leaves what is over the limit in the socket's queue,
 * and drains: wait, then interrupt, then see all of it ended.
 */
import * as Cause from "effect/Cause"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as Runtime from "effect/Runtime"
import type * as Scope from "effect/Scope"
import { isNetError } from "../NetError.ts"
import type { Status } from "../Server.ts"
import type { InetAddress } from "../SocketAddress.ts"
import type { Datagram, UdpSocket } from "../UdpSocket.ts"
import type { Reply } from "../UdpServer.ts"
import type { DatagramSocketImpl } from "./datagramSocket.ts"
import { heard } from "./heard.ts"
import { LazyScope } from "./lazyScope.ts"
import { LiveSet, type Member } from "./liveSet.ts"
import { scopedFork } from "./scopedFork.ts"
import { inlineScheduler } from "./turn.ts"

type Answer = Uint8Array | string | void
type Handle = (datagram: Datagram, socket: UdpSocket) => Reply<unknown, unknown>
type AnyFiber = Fiber.RuntimeFiber<unknown, unknown>

/** A handler that has something to wait for. */
class Session implements Member {
  slot = -1
  readonly scope = new LazyScope()
  fiber: AnyFiber | undefined = undefined
}

export class DatagramHandlers {
  readonly #socket: DatagramSocketImpl
  readonly #handle: Handle
  readonly #run: (
    effect: Effect.Effect<Answer, unknown, unknown>,
    scope: LazyScope
  ) => Fiber.RuntimeFiber<Answer, unknown>
  readonly #fork: (effect: Effect.Effect<void>) => Fiber.RuntimeFiber<void>
  readonly #concurrency: number
  readonly #sessions = new LiveSet<Session>()
  #active = 0
  #filling = false
  #draining = false
  #onIdle: (() => void) | undefined

  static make<E, R>(
    socket: DatagramSocketImpl,
    handler: (datagram: Datagram, socket: UdpSocket) => Reply<E, R>,
    concurrency: number
  ): Effect.Effect<DatagramHandlers, never, Exclude<R, Scope.Scope>> {
    return Effect.withFiberRuntime((fiber) =>
      Effect.map(Effect.runtime<Exclude<R, Scope.Scope>>(), (runtime) =>
        new DatagramHandlers(
          socket,
          handler,
          scopedFork(runtime as Runtime.Runtime<unknown>, inlineScheduler(fiber as AnyFiber)),
          Runtime.runFork(runtime),
          concurrency
        ))
    )
  }

  private constructor(
    socket: DatagramSocketImpl,
    handle: Handle,
    run: (effect: Effect.Effect<Answer, unknown, unknown>, scope: LazyScope) => Fiber.RuntimeFiber<Answer, unknown>,
    fork: (effect: Effect.Effect<void>) => Fiber.RuntimeFiber<void>,
    concurrency: number
  ) {
    this.#socket = socket
    this.#handle = handle
    this.#run = run
    this.#fork = fork
    this.#concurrency = concurrency
  }

  readonly status: Effect.Effect<Status> = Effect.sync(() => ({
    active: this.#active,
    waiting: this.#socket.queue.size,
    closing: 0,
    accepted: this.#socket.received
  }))

  start(): void {
    this.#socket.onDatagram = (datagram) => {
      if (this.#draining) {
        this.#socket.queue.dropped++
        return true
      }
      if (this.#active >= this.#concurrency || this.#filling) return false
      this.#begin(datagram)
      return true
    }
    this.#fill()
  }

  /**
   * Lets the handlers end by themselves, at most so long; what is left is interrupted. Datagrams that wait are dropped.
   */
  drain(timeout: Duration.Duration): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.#draining = true
      this.#socket.queue.clear()
      return Effect.zipRight(
        Effect.raceFirst(
          Effect.interruptible(this.#idle),
          Effect.interruptible(Effect.sleep(timeout)).pipe(Effect.tap(() => {
            for (const { fiber } of this.#sessions) fiber?.unsafeInterruptAsFork(FiberId.none)
          }))
        ),
        this.#idle
      )
    })
  }

  readonly #idle: Effect.Effect<void> = Effect.async((resume) => {
    if (this.#active === 0) return resume(Effect.void)
    this.#onIdle = () => resume(Effect.void)
  })

  #begin(datagram: Datagram): void {
    this.#active++
    let reply: Reply<unknown, unknown>
    try {
      reply = this.#handle(datagram, this.#socket)
    } catch (defect) {
      return this.#ended(datagram, Exit.die(defect))
    }
    if (!Effect.isEffect(reply)) return this.#answer(datagram, reply)
    if (Exit.isExit(reply)) return this.#ended(datagram, reply as Exit.Exit<Answer, unknown>)
    const session = new Session()
    const { scope } = session
    const fiber = this.#run(heard(reply as Effect.Effect<Answer, unknown, unknown>), scope)
    session.fiber = fiber as AnyFiber
    this.#sessions.add(session)
    fiber.addObserver((exit) => {
      this.#sessions.delete(session)
      if (!scope.used) return this.#ended(datagram, exit)
      this.#fork(heard(scope.close(exit))).addObserver((closed) => this.#ended(datagram, Exit.zipLeft(exit, closed)))
    })
  }

  #ended(datagram: Datagram, exit: Exit.Exit<Answer, unknown>): void {
    if (Exit.isSuccess(exit)) return this.#answer(datagram, exit.value)
    this.#report(datagram, exit.cause)
    this.#free()
  }

  #answer(datagram: Datagram, answer: Answer): void {
    if (answer === undefined) return this.#free()
    this.#socket.outbound.answer(answer, datagram.from, {
      settle: (exit) => {
        if (Exit.isFailure(exit)) this.#report(datagram, exit.cause)
        this.#free()
      }
    })
  }

  #free(): void {
    this.#active--
    this.#fill()
  }

  /** A loop, though each handler that ends calls it: they may all end at once. */
  #fill(): void {
    if (this.#filling) return
    this.#filling = true
    while (this.#active < this.#concurrency) {
      const datagram = this.#socket.queue.shift()
      if (datagram === undefined) break
      this.#begin(datagram)
    }
    this.#filling = false
    if (this.#active === 0) this.#onIdle?.()
  }

  #report(datagram: Datagram, cause: Cause.Cause<unknown>): void {
    if (Cause.isInterruptedOnly(cause)) return
    const failure = Cause.failureOption(cause)
    const log = failure._tag === "Some" && isOfSender(failure.value, datagram.from) ? Effect.logDebug : Effect.logError
    this.#fork(
      Effect.annotateLogs(log("datagram handler failed", cause), "remoteAddress", String(datagram.from))
    )
  }
}

/** Whether it is the network's word on an answer to that sender, and no fault of the handler, or of a service that this asks. */
const isOfSender = (error: unknown, sender: InetAddress): boolean =>
  isNetError(error) && error._tag !== "MessageTooLarge" && error._tag !== "InvalidOption" &&
  Equal.equals((error as { readonly address?: unknown }).address, sender)
