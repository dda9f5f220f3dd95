/**
 * A listener that is asked for connections one by one: the queue between a runtime that accepts by itself and who takes them.
 * At most `backlog` connections wait; where the runtime can, accepting stops while nobody asks, so that they wait in the kernel.
 * A connection that waits is not read from, and is reset if the listener closes first.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { Connection } from "../Connection.ts"
import type { Network } from "../Network.ts"
import * as NetError from "../NetError.ts"
import type { AddressInput } from "../SocketAddress.ts"
import { bind, type Binding, type ListenOptions } from "./bind.ts"
import type { ConnectionImpl } from "./connection.ts"
import { cancelable } from "./suspension.ts"

export class AcceptQueue {
  #waiting: Array<ConnectionImpl> = []
  #takers: Array<() => void> = []
  readonly #streamed = new Set<ConnectionImpl>()
  #bound: Binding | undefined
  #closed = false

  offer(connection: ConnectionImpl, bound: Binding): void {
    this.#bound = bound
    if (this.#closed || this.#waiting.length >= bound.backlog) return connection.unsafeReset()
    this.#waiting.push(connection)
    this.#takers.shift()?.()
    this.#regulate()
  }

  open(bound: Binding): void {
    this.#bound = bound
    this.#regulate()
  }

  close(): void {
    this.#closed = true
    for (const connection of this.#waiting) connection.unsafeReset()
    this.#waiting = []
    const takers = this.#takers
    this.#takers = []
    for (const taker of takers) taker()
  }

  /** The next connection, which the present scope then owns. Interrupting it while it waits loses none. */
  readonly accept: Effect.Effect<Connection, NetError.AcceptError, Scope.Scope> = this.#take((connection) =>
    Effect.as(Effect.addFinalizer(() => connection.close), connection)
  )

  /** The connections as they come, until the listener closes; its scope owns them. */
  readonly connections: Stream.Stream<Connection> = Stream.repeatEffectOption(
    Effect.mapError(
      this.#take((connection) => {
        this.#streamed.add(connection)
        connection.onReleased = () => this.#streamed.delete(connection)
        return Effect.succeed(connection)
      }),
      Option.none
    )
  )

  readonly closeStreamed: Effect.Effect<void> = Effect.suspend(() =>
    Effect.forEach(this.#streamed, (connection) => connection.close, { concurrency: "unbounded", discard: true })
  )

  #take<R>(
    own: (connection: ConnectionImpl) => Effect.Effect<Connection, never, R>
  ): Effect.Effect<Connection, NetError.AcceptError, R> {
    return Effect.uninterruptibleMask((restore) => {
      const next: Effect.Effect<Connection, NetError.AcceptError, R> = Effect.suspend(() => {
        let connection = this.#waiting.shift()
        // A client that has come and gone with a reset while it waited is nobody's business.
        while (connection?.released) connection = this.#waiting.shift()
        if (connection !== undefined) return own(connection)
        if (this.#closed) {
          return Effect.fail(new NetError.ConnectionClosed({ operation: "accept", address: this.#bound?.address }))
        }
        return Effect.zipRight(restore(this.#arrival), next)
      })
      return next
    })
  }

  readonly #arrival: Effect.Effect<void> = cancelable((resume) => {
    const taker = () => resume(Effect.void)
    this.#takers.push(taker)
    this.#regulate()
    return Effect.sync(() => {
      const at = this.#takers.indexOf(taker)
      if (at !== -1) this.#takers.splice(at, 1)
      // It was woken and does not take: somebody else may.
      else if (this.#waiting.length > 0) this.#takers.shift()?.()
      this.#regulate()
    })
  })

  #regulate(): void {
    if (this.#takers.length > 0) this.#bound?.resume()
    else this.#bound?.pause()
  }
}

export const listen = (
  address: AddressInput,
  options: ListenOptions
): Effect.Effect<{ readonly queue: AcceptQueue; readonly bound: Binding }, NetError.BindError, Network | Scope.Scope> =>
  Effect.gen(function* () {
    const queue = new AcceptQueue()
    yield* Effect.addFinalizer(() => queue.closeStreamed)
    const bound = yield* bind(address, options, (connection, bound) => queue.offer(connection, bound))
    yield* Effect.addFinalizer(() => Effect.sync(() => queue.close()))
    queue.open(bound)
    return { queue, bound }
  })
