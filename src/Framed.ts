/**
 * A connection that speaks messages: a codec over a byte stream, as a typed duplex.
 * `receive` decodes one frame and leaves what follows it alone, so a codec can be swapped in mid stream; `messages` takes all there are.
 * Interrupting a receive loses nothing; a send is whole or not at all, and a refused message writes nothing.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { dual } from "effect/Function"
import * as Option from "effect/Option"
import { hasProperty } from "effect/Predicate"
import type * as Scope from "effect/Scope"
import type * as Sink from "effect/Sink"
import type * as Stream from "effect/Stream"
import type { Connection } from "./Connection.ts"
import type { Codec } from "./framing/Codec.ts"
import { implementation } from "./internal/connection.ts"
import { Broken, Exchange } from "./internal/exchange.ts"
import { FramedImpl, TypeId } from "./internal/framed.ts"
import { Inbox } from "./internal/inbox.ts"
import * as Options from "./internal/options.ts"
import * as Net from "./Net.ts"
import type * as NetError from "./NetError.ts"
import type { Network } from "./Network.ts"
import type { AddressInput } from "./SocketAddress.ts"

export {
  /**
   * Marks every framed connection.
   *
   * @category symbols
   */
  TypeId
} from "./internal/framed.ts"

/**
 * What receiving can fail with. After a `FrameError` there are no more frames; the connection itself is still there.
 *
 * @category models
 */
export type ReceiveError = NetError.ReadError | NetError.FrameError

/**
 * What sending can fail with.
 *
 * @category models
 */
export type SendError = NetError.WriteError | NetError.FrameError

/**
 * Messages of type `Out` come in, messages of type `In` go out.
 *
 * @category models
 */
export interface Framed<out Out, in In = Out> {
  readonly [TypeId]: TypeId
  readonly connection: Connection
  /** The next message, or none at the end of stream. Bytes after its frame stay undecoded. */
  readonly receive: Effect.Effect<Option.Option<Out>, ReceiveError>
  /** Sends one message, whole; waits while the peer is slow. */
  readonly send: (message: In) => Effect.Effect<void, SendError>
  /** Sends many messages in one write, all or none. */
  readonly sendAll: (messages: Iterable<In>) => Effect.Effect<void, SendError>
  /** All messages until the end of stream; those of one chunk of bytes are one Chunk. */
  readonly messages: Stream.Stream<Out, ReceiveError>
  /** Sends every element. Does not shut down at the end. */
  readonly sink: Sink.Sink<void, In, never, SendError>
  /**
   * Sends a message and gives the answer to it, for a peer that answers in order. Requests may be made at the same time: they are sent in the
   * order of the calls, pipelined, and each gets its own answer. The answer to a request that was interrupted is dropped when it comes.
   * Do not `receive` beside it.
   */
  readonly request: (message: In) => Effect.Effect<Out, ReceiveError | SendError | NetError.UnexpectedEnd>
  /**
   * Goes on with another codec from the very next byte, and ends this one. Bytes already read are kept.
   * Exact after `receive`; `messages` has taken all frames of the bytes that had come.
   */
  readonly swap: <Out2, In2>(codec: Codec<Out2, In2>) => Effect.Effect<Framed<Out2, In2>>
  /** How many frames were dropped for their size so far, by a codec with `onTooLarge: "skip"`. */
  readonly skipped: Effect.Effect<number>
  /** Gives the connection back with the bytes that are in no message pushed back in front, and ends this. */
  readonly unwrap: Effect.Effect<Connection>
}

/**
 * Whether a value is a framed connection.
 *
 * @category guards
 */
export const isFramed = (u: unknown): u is Framed<unknown, never> => hasProperty(u, TypeId)

/**
 * Puts a codec over a connection.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Framed, Framing, Net } from "effect-netkit"
 *
 * const lines = Framing.lines().pipe(Framing.text())
 * const greeting = Effect.scoped(Effect.gen(function*() {
 *   const listener = yield* Net.listen("127.0.0.1:7788")
 *   const framed = Framed.make(yield* listener.accept, lines)
 *   return yield* framed.receive
 * }))
 * ```
 *
 * @category constructors
 */
export const make: {
  <Out, In>(codec: Codec<Out, In>): (connection: Connection) => Framed<Out, In>
  <Out, In>(connection: Connection, codec: Codec<Out, In>): Framed<Out, In>
} = dual(
  2,
  <Out, In>(connection: Connection, codec: Codec<Out, In>): Framed<Out, In> =>
    new FramedImpl(implementation(connection), codec)
)

/**
 * Dials an address and puts a codec over the connection, which lives in the Scope.
 *
 * @category constructors
 */
export const connect = <Out, In>(
  address: AddressInput,
  codec: Codec<Out, In>,
  options?: Net.ConnectOptions
): Effect.Effect<Framed<Out, In>, NetError.ConnectError, Network | Scope.Scope> =>
  Effect.map(Net.connect(address, options), make(codec))

/**
 * The first `n` bytes without taking them, fewer at the end of stream: to choose a protocol by how it begins.
 *
 * @category combinators
 */
export const peek = (connection: Connection, n: number): Effect.Effect<Uint8Array, NetError.ReadError> =>
  connection.readExactly(n).pipe(
    Effect.catchTag("UnexpectedEnd", ({ received }) => connection.readExactly(received)),
    Effect.catchTag("UnexpectedEnd", () => Effect.succeed(new Uint8Array(0))),
    Effect.tap(connection.unread)
  )

/**
 * One protocol of several, told by its first bytes. `test` is asked again with every byte more, up to `bytes` of them (default 16), until one
 * says yes; none does when all have said no, or at the end of stream. Nothing is taken from the connection. A wrong number of bytes is a defect, as in
 * `readExactly`.
 *
 * @category combinators
 */
export const detect = <A>(
  connection: Connection,
  protocols: ReadonlyArray<{ readonly protocol: A; readonly test: (start: Uint8Array) => boolean | "more" }>,
  options?: { readonly bytes?: number | undefined }
): Effect.Effect<Option.Option<A>, NetError.ReadError> => {
  const look = (n: number, limit: number): Effect.Effect<Option.Option<A>, NetError.ReadError> =>
    Effect.flatMap(peek(connection, n), (start) => {
      const answers = protocols.map(({ test }) => test(start))
      const first = answers.findIndex((answer) => answer !== false)
      if (first !== -1 && answers[first] === true) return Effect.succeedSome(protocols[first]!.protocol)
      return first === -1 || start.length < n || n >= limit ? Effect.succeedNone : look(n + 1, limit)
    })
  return Effect.suspend(() => look(1, Options.whole("bytes", options?.bytes, 16, 1, "a number of bytes from 1")))
}

/**
 * The identifier of a request, and that of the request which a message answers; `undefined` or null for a message that has none.
 *
 * @category models
 */
export interface Correlation<in Out, in In = Out> {
  readonly request: (message: In) => unknown
  readonly answer: (message: Out) => unknown
}

/**
 * Requests over a framed connection whose messages are not answers alone.
 *
 * @category models
 */
export interface Requests<out Out, in In = Out> {
  /**
   * Sends a message and gives the answer to it. Requests may be made at the same time. The answer to a request that was interrupted is
   * dropped when it comes.
   */
  readonly request: (message: In) => Effect.Effect<Out, ReceiveError | SendError | NetError.UnexpectedEnd>
  /**
   * The messages that answer no request, until the end of stream; to be run by one at a time. While nobody does at most 1024 are kept, and
   * further ones dropped with a warning; while somebody does a slow reader slows the peer, answers included.
   */
  readonly messages: Stream.Stream<Out, ReceiveError | NetError.WriteError>
}

/**
 * Takes over the reading of a framed connection, as long as the Scope lives, and gives each message to the request that it answers.
 *
 * With `correlation` answers may come in any order, and a request without an identifier, or with one that is under way, fails with
 * `FrameMalformed`. Without it, answers come in the order of the requests, and what comes while none is under way answers none.
 *
 * @example
 * ```ts
 * import { Effect, Schema } from "effect"
 * import { Framed, Framing } from "effect-netkit"
 *
 * const Message = Schema.Struct({
 *   id: Schema.optional(Schema.Number),
 *   method: Schema.optional(Schema.String),
 *   result: Schema.optional(Schema.Unknown)
 * })
 * const program = Effect.scoped(Effect.gen(function*() {
 *   const framed = yield* Framed.connect("127.0.0.1:7788", Framing.lines().pipe(Framing.json, Framing.schema(Message)))
 *   const { request } = yield* Framed.requests(framed, {
 *     correlation: { request: ({ id }) => id, answer: ({ id }) => id }
 *   })
 *   return yield* Effect.all([request({ id: 1, method: "slow" }), request({ id: 2, method: "fast" })], { concurrency: 2 })
 * }))
 * ```
 *
 * @category combinators
 */
export const requests = <Out, In>(
  framed: Framed<Out, In>,
  options: { readonly correlation?: Correlation<Out, In> | undefined } = {}
): Effect.Effect<Requests<Out, In>, never, Scope.Scope> =>
  Effect.gen(function* () {
    const inbox = yield* Inbox.make<Out, ReceiveError | NetError.WriteError>()
    const exchange = new Exchange(framed as FramedImpl<Out, In>, options.correlation, inbox)
    // Ends in order also when it is interrupted before it has begun.
    yield* Effect.interruptible(exchange.run).pipe(
      Effect.catchTag("UnexpectedEnd", () => Effect.void),
      Effect.onExit((exit) => {
        exchange.close()
        return inbox.end(Exit.isInterrupted(exit) ? Exit.void : exit)
      }),
      Effect.forkScoped,
      Effect.uninterruptible
    )
    return {
      request: (message) =>
        Effect.suspend(() => exchange.request(message)).pipe(
          Effect.mapError((error) => error instanceof Broken ? error.cause : error)
        ),
      messages: inbox.stream
    }
  })
