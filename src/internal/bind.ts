/**
 * Binding listening sockets with a callback for each connection: what `Net.listen` and `Server` stand on.
 * Options are checked before anything is opened; a socket is closed, and its port free again, when its owner's scope closes.
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
import type { ListenerHandle, ListenRequest, Transport } from "../Transport.ts"
import { ConnectionImpl, type Environment } from "./connection.ts"
import { Deadlines } from "./deadlines.ts"
import * as Options from "./options.ts"
import type { ServerMetrics } from "./serverMetrics.ts"
import { cancelable } from "./suspension.ts"
import type { WaitSettings } from "./waitClock.ts"

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
  options: Options.ResolvedOptions,
  waits?: WaitSettings
): Effect.Effect<Environment, never, Scope.Scope> =>
  Effect.map(
    Effect.all([Effect.clock, makeDeadlines(options.readTimeout), makeDeadlines(options.writeTimeout)]),
    ([clock, readDeadlines, writeDeadlines]) => ({
      ...options,
      transport,
      clock,
      address,
      readDeadlines,
      writeDeadlines,
      waits
    })
  )

/** A place to listen at: opened, closed and opened again at the address it had, by its owner. Its connections outlive it. */
export class Binding {
  /** What was asked for, until it was open; then what it really is. */
  address: SocketAddress.SocketAddress
  readonly backlog: number
  /** What it tells the metrics through, for a server that keeps them. */
  metrics: ServerMetrics | undefined = undefined
  readonly #environment: Environment
  readonly #request: Omit<ListenRequest, "endpoint">
  readonly #report: (cause: unknown) => void
  readonly #accept: (connection: ConnectionImpl, binding: Binding) => void
  #handle: ListenerHandle | undefined
  /** Sockets that were told to close and have not yet. */
  #closing = 0
  #onClosed: Array<() => void> = []

  constructor(
    environment: Environment,
    request: Omit<ListenRequest, "endpoint"> & { readonly backlog: number },
    report: (text: Effect.Effect<void>) => void,
    accept: (connection: ConnectionImpl, binding: Binding) => void
  ) {
    this.address = environment.address
    this.backlog = request.backlog
    this.#environment = environment
    this.#request = request
    this.#accept = accept
    this.#report = (cause) => {
      const { kind, message } = environment.transport.classify(cause)
      // A peer that left before it was accepted is no news; a shortage is.
      const log = kind === "ResourceExhausted" ? Effect.logWarning : Effect.logDebug
      report(log(`accept on ${this.address}: ${message}`))
    }
  }

  /** Listens, unless it does; nothing is accepted before `resume`. */
  readonly open: Effect.Effect<void, NetError.BindError> = Effect.suspend(() =>
    this.#handle !== undefined
      ? Effect.void
      : Effect.zipRight(this.closed, cancelable<void, NetError.BindError>((resume) => this.#listen(resume)))
  )

  pause(): void {
    this.#handle?.pause()
  }

  resume(): void {
    this.#handle?.resume()
  }

  /** Stops listening at once; `closed` tells when the address is free. */
  close(): void {
    if (this.#handle === undefined) return
    this.#closing++
    this.#handle.close()
    this.#handle = undefined
  }

  readonly closed: Effect.Effect<void> = Effect.async((resume) => {
    if (this.#closing === 0) resume(Effect.void)
    else this.#onClosed.push(() => resume(Effect.void))
  })

  #listen(resume: (result: Exit.Exit<void, NetError.BindError>) => void): Effect.Effect<void> {
    const { address } = this
    const { transport } = this.#environment
    let mine: ListenerHandle | undefined
    const cancel = transport.listen({ endpoint: SocketAddress.toEndpoint(address), ...this.#request }, {
      onListening: (handle) => {
        mine = this.#handle = handle
        this.address = SocketAddress.fromEndpoint(handle.localAddress)
        resume(Exit.void)
      },
      onFail: (cause) => {
        const failure = transport.classify(cause)
        const props = { operation: "listen", address, cause } as const
        resume(Exit.fail(NetError.fromFailure<NetError.BindError>(failure, bindKinds, props)))
      },
      onAccept: (handle) => {
        if (mine === undefined || mine !== this.#handle) return undefined
        const connection = new ConnectionImpl(handle, this.#environment)
        this.#accept(connection, this)
        return connection
      },
      onAcceptError: this.#report,
      onClose: () => {
        if (--this.#closing > 0) return
        const listeners = this.#onClosed
        this.#onClosed = []
        for (const listener of listeners) listener()
      }
    })
    return Effect.sync(() => mine === undefined && cancel())
  }
}

/** Checks the options and makes what the connections share, which lives until the scope is closed and the last of them released. */
export const prepare = (
  input: SocketAddress.AddressInput,
  options: ListenOptions,
  accept: (connection: ConnectionImpl, binding: Binding) => void,
  waits?: WaitSettings
): Effect.Effect<Binding, NetError.InvalidOption | NetError.Unsupported, Network | Scope.Scope> =>
  Effect.gen(function* () {
    const transport = yield* Network
    const address = yield* SocketAddress.fromInput(input)
    const resolved = yield* Options.checked(() => resolveListen(address, options, transport))
    const environment = yield* makeEnvironment(transport, address, resolved, waits)
    return new Binding(environment, resolved, Runtime.runFork(yield* Effect.runtime<never>()), accept)
  })

/** Listens while the scope lives. */
export const bind = (
  input: SocketAddress.AddressInput,
  options: ListenOptions,
  accept: (connection: ConnectionImpl, binding: Binding) => void
): Effect.Effect<Binding, NetError.BindError, Network | Scope.Scope> =>
  Effect.gen(function* () {
    const binding = yield* prepare(input, options, accept)
    yield* Effect.addFinalizer(() => {
      binding.close()
      return binding.closed
    })
    yield* binding.open
    return binding
  })

const resolveListen = (address: SocketAddress.SocketAddress, options: ListenOptions, transport: Transport) => {
  const reusePort = Options.flag("reusePort", options.reusePort, false)
  const ipv6Only = Options.flag("ipv6Only", options.ipv6Only, false)
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
