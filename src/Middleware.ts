/**
 * What goes around handlers: logging, tracing, limits of rate, authentication by the first message. A middleware is a function from
 * handler to handler; `pipe` puts them together, and the last one of a pipe is the outermost.
 * The limits of the server itself come before all of them: who is refused there never reaches a handler.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Cause from "effect/Cause"
import type * as Exit from "effect/Exit"
import * as LogLevel from "effect/LogLevel"
import * as Option from "effect/Option"
import { hasProperty } from "effect/Predicate"
import * as Stream from "effect/Stream"
import type { Connection } from "./Connection.ts"
import * as Framed from "./Framed.ts"
import type { Codec } from "./framing/Codec.ts"
import type { OnMessage, Reply } from "./FramedServer.ts"
import { isDrained } from "./internal/draining.ts"
import { duration } from "./internal/options.ts"
import { type RateLimitOptions, Rates, resolve } from "./internal/rates.ts"
import { spanName, traced } from "./internal/tracing.ts"
import { InvalidOption, RateLimited, ReadTimeout } from "./NetError.ts"
import { isInetAddress } from "./SocketAddress.ts"

export type {
  /**
   * @category options
   */
  RateLimitOptions
} from "./internal/rates.ts"

/**
 * What a `Server` does with one connection.
 *
 * @category models
 */
export type Handler<E = never, R = never> = (connection: Connection) => Effect.Effect<unknown, E, R>

/**
 * @category options
 */
export interface LoggingOptions {
  /** At which level the end of each connection is logged; what the handler logs keeps its own. Default: debug. */
  readonly level?: LogLevel.Literal | undefined
}

/**
 * Logs the end of each connection with bytes, duration and outcome, and annotates all that the handler logs with `remoteAddress`.
 * The outcome is `done`, `interrupted`, `the server drains`, or the failure.
 *
 * @example
 * ```ts
 * import { Effect, pipe, Stream } from "effect"
 * import { type Connection, Middleware, Server } from "effect-netkit"
 *
 * const echo = (connection: Connection.Connection) => Stream.run(connection.stream, connection.sink)
 *
 * const server = Server.make({
 *   listen: "127.0.0.1:7788",
 *   handler: pipe(
 *     echo,
 *     Middleware.rateLimit({ limit: 10, window: "1 second" }),
 *     Middleware.logging({ level: "Info" })
 *   )
 * })
 * ```
 *
 * @category middleware
 */
export const logging =
  ({ level = "Debug" }: LoggingOptions = {}) => <E, R>(handler: Handler<E, R>): Handler<E, R> => (connection) =>
    Effect.suspend(() => handler(connection)).pipe(
      Effect.onExit((exit) =>
        Effect.flatMap(connection.stats, ({ age, bytesRead, bytesWritten }) =>
          Effect.annotateLogs(
            Effect.logWithLevel(LogLevel.fromLiteral(level), `connection ended: ${outcome(exit)}`),
            {
              bytesRead,
              bytesWritten,
              duration: Duration.format(age)
            }
          ))
      ),
      Effect.annotateLogs("remoteAddress", String(connection.remoteAddress))
    )

const outcome = (exit: Exit.Exit<unknown, unknown>): string => {
  if (exit._tag === "Success") return "done"
  if (isDrained(exit.cause)) return "the server drains"
  return Cause.isInterruptedOnly(exit.cause) ? "interrupted" : Cause.pretty(exit.cause).split("\n", 1)[0]!
}

/**
 * @category options
 */
export interface TracingOptions {
  /** The name of the span. Default `netkit.connection`. */
  readonly name?: string | undefined
  /** Attributes beside those of the address and the bytes. */
  readonly attributes?: Readonly<Record<string, unknown>> | undefined
}

/**
 * A span for each connection, with the attributes of OpenTelemetry's semantic conventions: `network.transport`, `network.peer.address`,
 * `network.peer.port`, `network.local.address`, `network.local.port`, and at its end `netkit.bytes_read` and `netkit.bytes_written`.
 * The handler's failure is that of the span, unless its server's drain has ended it: then the span is a success with `netkit.end` `draining`.
 * A `Server` does this by itself where a tracer is set when it starts; this is for spans with a name and attributes of one's own.
 *
 * @category middleware
 */
export const tracing = (
  { attributes = {}, name = spanName }: TracingOptions = {}
): <E, R>(handler: Handler<E, R>) => Handler<E, R> => traced(name, attributes)

/**
 * How often connections may begin that have the same key, by default the same host. Who comes too often fails with `RateLimited`, and
 * its connection is closed. The count is that of the middleware, for all that its result is given to. A wrong option throws `InvalidOption`.
 *
 * @category middleware
 */
export const rateLimit = (
  options: RateLimitOptions & { readonly key?: ((connection: Connection) => unknown) | undefined }
) => {
  const { key = hostOf } = options
  const rates = new Rates(resolve(options))
  return <E, R>(handler: Handler<E, R>): Handler<E | RateLimited, R> => (connection) =>
    Effect.flatMap(Clock.currentTimeMillis, (now): Effect.Effect<unknown, E | RateLimited, R> => {
      const wait = rates.take(key(connection), now)
      return wait === 0 ? handler(connection) : Effect.fail(limited(connection, wait))
    })
}

const hostOf = ({ remoteAddress }: Connection): string =>
  isInetAddress(remoteAddress) ? remoteAddress.host : String(remoteAddress)

const limited = ({ remoteAddress: address }: Connection, wait: number): RateLimited =>
  new RateLimited({ operation: "read", address, retryAfter: Duration.millis(wait) })

/**
 * What handles the messages of a connection, as `FramedServer` takes it.
 *
 * @category models
 */
export type MessageHandler<Out, In, E = never, R = never> = (
  session: Framed.Framed<Out, In>
) => OnMessage<Out, In, E, R> | Effect.Effect<OnMessage<Out, In, E, R>, E, R>

/**
 * @category options
 */
export interface MessageRateOptions<Message, Refusal> extends RateLimitOptions {
  /**
   * What becomes of a message that comes too early: `"wait"` lets it, and all behind it, wait, so that the peer feels its pace; `"fail"` ends
   * the connection with `RateLimited`; a function gives the reply that it gets instead. Default `"wait"`.
   */
  readonly overflow?: "wait" | "fail" | ((message: Message, retryAfter: Duration.Duration) => Refusal) | undefined
}

/**
 * How often a connection may say something, for the `handler` of a `FramedServer`. Each connection has a count of its own. A wrong
 * option throws `InvalidOption`.
 *
 * @example
 * ```ts
 * import { FramedServer, Framing, Middleware } from "effect-netkit"
 *
 * const polite = FramedServer.make({
 *   listen: "127.0.0.1:7788",
 *   codec: Framing.lines().pipe(Framing.text()),
 *   handler: Middleware.messageRate({ limit: 20, window: "1 second", overflow: () => "slow down" })(
 *     () => (line: string) => line.toUpperCase()
 *   )
 * })
 * ```
 *
 * @category middleware
 */
export const messageRate = <Message = unknown, Refusal = never>(
  { overflow = "wait", ...options }: MessageRateOptions<Message, Refusal>
) => {
  const rate = resolve(options)
  if (typeof overflow !== "function" && overflow !== "wait" && overflow !== "fail") {
    throw new InvalidOption({ option: "overflow", value: overflow, expected: '"wait", "fail" or a function' })
  }
  return <Out extends Message, In, E = never, R = never>(
    handler: MessageHandler<Out, In | Refusal, E, R>
  ): MessageHandler<Out, Exclude<In, void> | Refusal, E | RateLimited, R> =>
  (session) =>
    Effect.gen(function* () {
      const clock = yield* Effect.clock
      // Where a handler may give nothing, `In` is inferred with it.
      const made = (handler as MessageHandler<Out, Exclude<In, void> | Refusal, E, R>)(session)
      const onMessage = Effect.isEffect(made) ? yield* made : made
      const rates = new Rates(rate)
      const paced: OnMessage<Out, Exclude<In, void> | Refusal, E | RateLimited, R> = (message) => {
        const wait = rates.take(undefined, clock.unsafeCurrentTimeMillis())
        if (wait === 0) return onMessage(message)
        const retryAfter = Duration.millis(wait)
        if (typeof overflow === "function") return overflow(message, retryAfter)
        if (overflow === "fail") return Effect.fail(limited(session.connection, wait))
        return Stream.unwrap(Effect.map(clock.sleep(retryAfter), () => asStream(paced(message))))
      }
      return paced
    })
}

/** Whatever a reply may be, as a stream of it. */
const asStream = <In, E, R>(reply: Reply<In, E, R>): Stream.Stream<In, E, R> => {
  if (hasProperty(reply, Stream.StreamTypeId)) return reply as Stream.Stream<In, E, R>
  const given = Effect.isEffect(reply) ? reply as Effect.Effect<In | void, E, R> : Effect.succeed(reply as In | void)
  return Stream.filter(Stream.fromEffect(given), (reply): reply is In => reply !== undefined)
}

/**
 * @category options
 */
export interface AuthenticateOptions<Out, In, A, E, R> {
  /** How the first message is read; the reply to it, too. */
  readonly codec: Codec<Out, In>
  /** Who it is. Failing refuses the connection; say why with `session.send` before. */
  readonly authenticate: (first: Out, session: Framed.Framed<Out, In>) => Effect.Effect<A, E, R>
  /** How long the first message and its check may take: `ReadTimeout`. Default 10 seconds. */
  readonly timeout?: Duration.DurationInput | undefined
}

/**
 * Reads the first message, learns from it who is there, and gives the connection to the handler with that identity; bytes that came with
 * the message are still to be read. Who goes without a word ends without an error. A wrong option throws `InvalidOption`.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { FramedServer, Framing, Middleware, Server } from "effect-netkit"
 *
 * const codec = Framing.lines().pipe(Framing.text())
 * const known = Middleware.authenticate({
 *   codec,
 *   authenticate: (token, session) =>
 *     token === "secret"
 *       ? Effect.succeed("admin")
 *       : Effect.zipRight(session.send("denied"), Effect.fail("a wrong token" as const))
 * })
 *
 * const server = Server.make({
 *   listen: "127.0.0.1:7788",
 *   handler: known((connection, name) =>
 *     FramedServer.handler({ codec, handler: () => (line) => `${name}: ${line}` })(connection)
 *   )
 * })
 * ```
 *
 * @category middleware
 */
export const authenticate = <Out, In, A, E2, R2>(
  { authenticate, codec, ...options }: AuthenticateOptions<Out, In, A, E2, R2>
) => {
  const timeout = duration("timeout", options.timeout, "10 seconds")
  return <E, R>(
    handler: (connection: Connection, identity: A) => Effect.Effect<unknown, E, R>
  ): Handler<E | E2 | Framed.ReceiveError, R | R2> =>
  (connection) => {
    const session = Framed.make(connection, codec)
    const identify = session.receive.pipe(
      Effect.flatMap(Option.match({
        onNone: () => Effect.succeedNone,
        onSome: (first) => Effect.asSome(authenticate(first, session))
      })),
      Effect.timeoutFail({
        duration: timeout,
        onTimeout: () => new ReadTimeout({ operation: "read", address: connection.remoteAddress, timeout })
      })
    )
    return Effect.flatMap(
      identify,
      Option.match({
        onNone: () => Effect.void,
        onSome: (identity) =>
          Effect.zipRight(
            session.unwrap,
            Effect.suspend((): Effect.Effect<unknown, E, R> => handler(connection, identity))
          )
      })
    )
  }
}
