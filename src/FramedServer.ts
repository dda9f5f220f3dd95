/**
 * Servers of messages: a handler for each message instead of one for each connection.
 * Messages of a connection are handled one after the other, in order; the replies to those that came together leave together.
 * It is a handler for `Server` like any other: limits, timeouts and drain are the server's.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import { hasProperty } from "effect/Predicate"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { Connection } from "./Connection.ts"
import type { Framed, ReceiveError, SendError } from "./Framed.ts"
import type { Codec } from "./framing/Codec.ts"
import { implementation } from "./internal/connection.ts"
import { FramedImpl } from "./internal/framed.ts"
import type { FrameError } from "./NetError.ts"
import * as Server from "./Server.ts"

/**
 * What a handler gives for a message: a reply, nothing, an effect of either, or a stream of replies. A reply that is itself an Effect (an
 * `Option`, an `Either`) or a Stream has to be wrapped in `Effect.succeed`.
 *
 * @category models
 */
export type Reply<In, E = never, R = never> = In | void | Effect.Effect<In | void, E, R> | Stream.Stream<In, E, R>

/**
 * Handles one message. State of the connection is what it closes over.
 *
 * @category models
 */
export type OnMessage<Out, In, E = never, R = never> = (message: Out) => Reply<In, E, R>

/**
 * What to do with a peer whose bytes are no frames: end the connection (FIN), reset it, or send one last message first.
 *
 * @category options
 */
export type OnFrameError<In> = "close" | "reset" | ((error: FrameError) => In)

/**
 * @category options
 */
export interface HandlerOptions<Out, In, E, R> {
  /** What a message is. */
  readonly codec: Codec<Out, In>
  /** Called once a connection, for the function that handles its messages; an effect where setting up takes one. */
  readonly handler: (
    session: Framed<Out, In>
  ) => OnMessage<Out, NoInfer<In>, E, R> | Effect.Effect<OnMessage<Out, NoInfer<In>, E, R>, E, R>
  /** Default `"close"`. */
  readonly onFrameError?: OnFrameError<NoInfer<In>> | undefined
}

/**
 * A connection handler out of a message handler, to give to `Server.make`. Ends at the peer's end of stream.
 *
 * @category constructors
 */
export const handler = <Out, In, E = never, R = never>(
  options: HandlerOptions<Out, In, E, R>
): (connection: Connection) => Effect.Effect<void, E | ReceiveError | SendError, R> => {
  const { codec, onFrameError = "close" } = options
  return (connection) => {
    const session = new FramedImpl(implementation(connection), codec)
    const onMessage = options.handler(session)
    return Effect.catchSomeDefect(
      Effect.isEffect(onMessage)
        ? Effect.flatMap(onMessage, (onMessage) => serve(session, onMessage, onFrameError))
        : serve(session, onMessage, onFrameError),
      (defect) => defect === ending ? Option.some(Effect.void) : Option.none()
    )
  }
}

const ending = Symbol("effect-netkit/FramedServer/end")

/**
 * Ends the session from a message handler, in order: replies so far are sent, messages that have come after this one are not handled, and
 * the connection is closed.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { FramedServer, Framing } from "effect-netkit"
 *
 * const polite = FramedServer.make({
 *   listen: "127.0.0.1:7788",
 *   codec: Framing.lines().pipe(Framing.text()),
 *   handler: (session) => (line) =>
 *     line === "quit" ? Effect.zipRight(session.send("goodbye"), FramedServer.end) : `you said ${line}`
 * })
 * ```
 *
 * @category handlers
 */
export const end: Effect.Effect<never> = Exit.die(ending)

/**
 * A server of messages, described as a whole.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { FramedServer, Framing } from "effect-netkit"
 *
 * const counting = FramedServer.make({
 *   listen: { host: "127.0.0.1", port: 7788 },
 *   codec: Framing.lines().pipe(Framing.text()),
 *   handler: () => {
 *     let count = 0
 *     return (line) => line === "count" ? String(count) : Effect.sync(() => void count++)
 *   }
 * })
 * ```
 *
 * @category constructors
 */
export const make = <Out, In, E = never, R = never>(
  options: HandlerOptions<Out, In, E, R> & Omit<Server.ServerOptions<E, R>, "handler">
): Server.Server<Exclude<R, Scope.Scope>> => Server.make({ ...options, handler: handler(options) })

const serve = <Out, In, E, R>(
  session: FramedImpl<Out, In>,
  onMessage: OnMessage<Out, In, E, R>,
  onFrameError: OnFrameError<In>
): Effect.Effect<void, E | ReceiveError | SendError, R> =>
  session.reader.forEach(
    (messages) => handleFrom(session, messages, onMessage),
    (error) => refuse(session, error, onFrameError)
  )

/** Handles messages in a plain loop; an effect only from where something has to be run or waited for. */
const handleFrom = <Out, In, E, R>(
  session: FramedImpl<Out, In>,
  messages: ReadonlyArray<Out>,
  onMessage: OnMessage<Out, In, E, R>
): Effect.Effect<void, E | SendError, R> | undefined => {
  let i = 0
  const goOn = () => {
    while (i < messages.length) {
      const replying = handle(session, messages[i++]!, onMessage)
      if (replying === undefined) continue
      // Should it be the last: who has sent more already may still be sending.
      session.connection.inbound.cutShort = i < messages.length
      return behindReplies(session, replying)
    }
    session.connection.inbound.cutShort = false
    return session.unsafeFlush()
  }
  let next: Effect.Effect<In | void, E | SendError, R> | undefined = goOn()
  return next && Effect.whileLoop({
    while: () => next !== undefined,
    body: () => next!,
    step: (reply) => {
      const waiting = value(session, reply)
      next = waiting === undefined ? goOn() : behindReplies(session, waiting)
    }
  })
}

/** Replies that are there need not wait for one that takes time, nor are they lost with a failure, or an interruption before that has begun. */
const behindReplies = <In, A, E, R>(
  session: FramedImpl<unknown, In>,
  effect: Effect.Effect<A, E, R>
): Effect.Effect<A, E | SendError, R> => {
  const replies = session.unsafeFlushSoon()
  return replies === undefined ? effect : Effect.zipRight(replies, effect)
}

const handle = <Out, In, E, R>(
  session: FramedImpl<Out, In>,
  message: Out,
  onMessage: OnMessage<Out, In, E, R>
): Effect.Effect<In | void, E | SendError, R> | undefined => {
  try {
    return answer(session, onMessage(message))
  } catch (defect) {
    return Effect.die(defect)
  }
}

/** Sends what a handler gave. An effect, which may give the reply, only where something has to be run or waited for. */
const answer = <In, E, R>(
  session: FramedImpl<unknown, In>,
  reply: Reply<In, E, R>
): Effect.Effect<In | void, E | SendError, R> | undefined => {
  if (reply === undefined) return undefined
  // Most replies are told from effects by these, which cost less than looking for a symbol in an array of bytes.
  if (typeof reply !== "object" || reply === null || reply instanceof Uint8Array) return value(session, reply as In)
  if (Effect.isEffect(reply)) {
    if (Exit.isExit(reply) && Exit.isSuccess(reply)) return value(session, reply.value as In | void)
    return reply as Effect.Effect<In | void, E, R>
  }
  if (hasProperty(reply, Stream.StreamTypeId)) {
    return sendStream(session, reply as Stream.Stream<In, E, R>)
  }
  return value(session, reply as In)
}

/** Pulled by the session's own fiber: `Stream.run` starts one for each reply, which costs several times as much. */
const sendStream = <In, E, R>(
  session: FramedImpl<unknown, In>,
  stream: Stream.Stream<In, E, R>
): Effect.Effect<void, E | SendError, R> =>
  // What the stream itself acquires stays with the session, as with `Stream.run`.
  Effect.scopedWith((scope) =>
    Effect.flatMap(Scope.extend(Stream.toPull(stream), scope), (pull) => {
      const rest: Effect.Effect<void, E | SendError, R> = Effect.matchEffect(pull, {
        onFailure: Option.match({ onNone: () => Effect.void, onSome: Effect.fail }),
        onSuccess: (messages) => Effect.zipRight(session.sendAll(messages), rest)
      })
      return rest
    })
  )

const value = <In>(session: FramedImpl<unknown, In>, reply: In | void): Effect.Effect<void, SendError> | undefined =>
  reply === undefined ? undefined : session.unsafeReply(reply as In)

/** Reacts to bytes that are no frames, and ends the session. */
const refuse = <In>(
  session: FramedImpl<unknown, In>,
  error: FrameError,
  reaction: OnFrameError<In>
): Effect.Effect<void, SendError | FrameError> => {
  if (reaction === "close") return Exit.fail(error)
  return reaction === "reset" ? Effect.ignore(session.connection.reset) : session.send(reaction(error))
}
