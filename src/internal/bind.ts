/**
 * Binding a listening socket with a callback for each connection: what `Net.listen` and `Server` stand on.
 * Options are checked before anything is opened; the socket is closed, and its port free again, when the scope closes.
 * Connections are handed over at once, each exactly once; what becomes of them is the caller's.
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberId from "effect/FiberId"
import * as Runtime from "effect/Runtime"
import type * as Scope from "effect/Scope"
import type { ErrorKind } from "../ErrorKind.ts"
import * as NetError from "../NetError.ts"
import { Network } from "../Network.ts"
import * as SocketAddress from "../SocketAddress.ts"
import type { ListenerHandle, Transport } from "../Transport.ts"
import { ConnectionImpl, type Environment } from "./connection.ts"
import { Deadlines } from "./deadlines.ts"
import * as Options from "./options.ts"

/** How to listen. */
export interface ListenOptions extends Options.SocketOptions {
  /** How many connections may wait to be accepted; more are refused or left to the kernel. Default 511. */
  readonly backlog?: number | undefined
  /** Lets several sockets share the port (SO_REUSEPORT). Default `false`. */
  readonly reusePort?: boolean | undefined
  /** Keeps a socket bound to `::` from taking IPv4 connections too. Default `false`. */
  readonly ipv6Only?: boolean | undefined
  /**
   * Permissions of the socket's file, for a path: 0o660 lets the file's group connect. Default 0o600, the file's owner alone. They are
   * set once it is bound; what the umask leaves holds until then.
   */
  readonly mode?: number | undefined
}

export interface Bound {
  readonly address: SocketAddress.SocketAddress
  readonly handle: ListenerHandle
  readonly backlog: number
}

const bindKinds: ReadonlySet<ErrorKind> = new Set([
  "AddressInUse",
  "AddressNotAvailable",
  "PermissionDenied",
  "NameNotFound",
  "PathNotFound",
  "ResourceExhausted"
])

/** The waits of connections that share their options, watched until the scope is closed and the last of them is released. */
export const makeDeadlines = (timeout: Duration.Duration): Effect.Effect<Deadlines | undefined, never, Scope.Scope> =>
  Effect.flatMap(Effect.clock, (clock) => {
    if (timeout.value._tag === "Infinity") return Effect.succeed(undefined)
    const deadlines = new Deadlines(clock, timeout)
    const watch = Effect.map(Effect.forkDaemon(Effect.interruptible(deadlines.watch)), (fiber) => {
      deadlines.onUnused = () => fiber.unsafeInterruptAsFork(FiberId.none)
      deadlines.retain()
      return deadlines
    })
    return Effect.acquireRelease(watch, () => Effect.sync(() => deadlines.release()))
  })

export const makeEnvironment = (
  transport: Transport,
  address: SocketAddress.SocketAddress,
  options: Options.ResolvedOptions
): Effect.Effect<Environment, never, Scope.Scope> =>
  Effect.map(
    Effect.all([Effect.clock, makeDeadlines(options.readTimeout), makeDeadlines(options.writeTimeout)]),
    ([clock, readDeadlines, writeDeadlines]) => ({
      ...options,
      transport,
      clock,
      address,
      readDeadlines,
      writeDeadlines
    })
  )

export const bind = (
  input: SocketAddress.AddressInput,
  options: ListenOptions,
  accept: (connection: ConnectionImpl, bound: Bound) => void
): Effect.Effect<Bound, NetError.BindError, Network | Scope.Scope> =>
  Effect.gen(function* () {
    const transport = yield* Network
    const address = yield* SocketAddress.fromInput(input)
    const resolved = yield* Options.checked(() => resolveListen(address, options, transport))
    const environment = yield* makeEnvironment(transport, address, resolved)
    const runtime = yield* Effect.runtime<never>()
    const onAcceptError = (cause: unknown) => {
      const { kind, message } = transport.classify(cause)
      // A peer that left before it was accepted is no news; a shortage is.
      const log = kind === "ResourceExhausted" ? Effect.logWarning : Effect.logDebug
      Runtime.runFork(runtime)(log(`accept on ${bound?.address ?? address}: ${message}`))
    }
    let bound: Bound | undefined
    let onClosed = () => {}
    yield* Effect.addFinalizer(() =>
      Effect.async<void>((resume) => {
        if (bound === undefined) return resume(Effect.void)
        onClosed = () => resume(Effect.void)
        bound.handle.close()
      })
    )
    return yield* Effect.async<Bound, NetError.BindError>((resume) => {
      const cancel = transport.listen({ endpoint: SocketAddress.toEndpoint(address), ...resolved }, {
        onListening(handle) {
          bound = { address: SocketAddress.fromEndpoint(handle.localAddress), handle, backlog: resolved.backlog }
          resume(Exit.succeed(bound))
        },
        onFail(cause) {
          const failure = transport.classify(cause)
          resume(
            Exit.fail(
              NetError.fromFailure<NetError.BindError>(failure, bindKinds, { operation: "listen", address, cause })
            )
          )
        },
        onAccept(handle) {
          if (bound === undefined) return undefined
          const connection = new ConnectionImpl(handle, environment)
          accept(connection, bound)
          return connection
        },
        onAcceptError,
        onClose: () => onClosed()
      })
      return Effect.sync(() => bound === undefined && cancel())
    })
  })

const resolveListen = (address: SocketAddress.SocketAddress, options: ListenOptions, transport: Transport) => {
  const reusePort = options.reusePort ?? false
  const ipv6Only = options.ipv6Only ?? false
  Options.reachable(transport, address, "listen")
  Options.needs(transport, "reusePort", reusePort, "listen")
  Options.needs(transport, "ipv6Only", ipv6Only, "listen")
  return {
    ...Options.resolve(options, transport, "listen"),
    backlog: Options.whole("backlog", options.backlog, 511, 1, "a whole number from 1"),
    reusePort,
    ipv6Only,
    mode: fileMode(address, options.mode)
  }
}

const fileMode = (address: SocketAddress.SocketAddress, mode: number | undefined): number => {
  if (mode === undefined) return 0o600
  const isFile = address._tag === "UnixAddress" && !address.path.startsWith("\0")
  const isMode = Number.isInteger(mode) && mode >= 0 && mode <= 0o777
  if (isFile && isMode) return mode
  const expected = isFile ? "permissions from 0 to 0o777" : `an option of ${address}, which is no file`
  throw new NetError.InvalidOption({ option: "mode", value: isMode ? `0o${mode.toString(8)}` : mode, expected })
}
