/**
 * Dialling: look the name up, try its addresses, one connection or one error; all within `connectTimeout`.
 * An IP address, a path, and a name that the transport looks up itself are one attempt without more ado.
 * Whatever ends the dial, every attempt that is under way is given up, and what has opened is closed with the scope.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Metric from "effect/Metric"
import type * as Scope from "effect/Scope"
import type { Connection } from "../Connection.ts"
import type { ErrorKind } from "../ErrorKind.ts"
import * as NetError from "../NetError.ts"
import { dials } from "../NetMetrics.ts"
import { Network } from "../Network.ts"
import * as SocketAddress from "../SocketAddress.ts"
import type { Cancel, Failure, Transport } from "../Transport.ts"
import { makeEnvironment } from "./bind.ts"
import { ConnectionImpl, type Environment } from "./connection.ts"
import { familyOf, lookup } from "./lookup.ts"
import { meanwhile } from "./meanwhile.ts"
import * as Options from "./options.ts"
import { interleave, race, type Settle } from "./race.ts"
import { cancelable } from "./suspension.ts"

/** How to dial, once. */
export interface DialOptions extends Options.SocketOptions {
  /** How long the look-up of the name and the connecting may take together. Default 10 seconds. */
  readonly connectTimeout?: Duration.DurationInput | undefined
  /** Which addresses of a name to try. Default `"any"`, or the family of `localAddress`. */
  readonly family?: 4 | 6 | "any" | undefined
  /**
   * How long an attempt at an address of a name goes on before the next address is tried beside it (RFC 8305, 8).
   * Default 250 ms, at least 10 ms; infinity tries one after the other.
   */
  readonly connectionAttemptDelay?: Duration.DurationInput | undefined
  /** The address of this machine to connect from. */
  readonly localAddress?: string | undefined
  /** The port to connect from. */
  readonly localPort?: number | undefined
}

const connectKinds: ReadonlySet<ErrorKind> = new Set([
  "ConnectionRefused",
  "ConnectTimeout",
  "HostUnreachable",
  "NetworkUnreachable",
  "NameNotFound",
  "PathNotFound",
  "AddressInUse",
  "AddressNotAvailable",
  "PermissionDenied",
  "ResourceExhausted",
  "ConnectionReset"
])

/** From the furthest that an attempt can come; what is not here never left this machine. */
const furthest: ReadonlyArray<string> = [
  "ConnectionRefused",
  "ConnectionReset",
  "ConnectTimeout",
  "HostUnreachable",
  "NetworkUnreachable"
]

const operation = "connect"

export const dial = (
  input: SocketAddress.AddressInput,
  options: DialOptions
): Effect.Effect<Connection, NetError.ConnectError, Network | Scope.Scope> =>
  Effect.gen(function* () {
    const transport = yield* Network
    const remote = yield* SocketAddress.fromInput(input)
    const resolved = yield* Options.checked(() => resolveConnect(remote, options, transport))
    const environment = yield* makeEnvironment(transport, remote, resolved)
    const dial = new Dial(remote, resolved, environment)
    yield* Effect.addFinalizer(() => dial.connection === undefined ? Effect.void : dial.connection.close)
    return yield* Effect.tapBoth(
      dial.run,
      { onSuccess: () => connected, onFailure: ({ _tag }) => counted(_tag) }
    )
  })

/** Adds a dial to the metrics. */
const counted = (outcome: string): Effect.Effect<void> => Metric.increment(Metric.tagged(dials, "outcome", outcome))
const connected = counted("connected")

const resolveConnect = (remote: SocketAddress.SocketAddress, options: DialOptions, transport: Transport) => {
  if (SocketAddress.isInetAddress(remote) && remote.port === 0) {
    throw new NetError.InvalidOption({ option: "port", value: 0, expected: "a port to connect to" })
  }
  Options.reachable(transport, remote, operation)
  const local = Options.local(options)
  if (!SocketAddress.isInetAddress(remote)) {
    for (const [option, value] of Object.entries(local)) pathHasNo(option, value)
  }
  Options.needs(transport, "localAddress", local.localAddress !== undefined || local.localPort !== undefined, operation)
  return {
    ...Options.resolve(options, transport, operation),
    ...local,
    ...resolveFamily(remote, options.family, local.localAddress),
    connectTimeout: Options.duration("connectTimeout", options.connectTimeout, "10 seconds"),
    connectionAttemptDelay: resolveDelay(options.connectionAttemptDelay)
  }
}

type Resolved = ReturnType<typeof resolveConnect>

const pathHasNo = (option: string, value: unknown): void => {
  if (value === undefined) return
  throw new NetError.InvalidOption({
    option,
    value,
    expected: "an option of a path, which has neither address nor port"
  })
}

/** `family` and `localAddress` agree with each other, and with an IP address that is dialled. */
const resolveFamily = (
  remote: SocketAddress.SocketAddress,
  wanted: DialOptions["family"],
  localAddress: string | undefined
) => {
  const family = Options.family(wanted)
  if (family !== undefined) checkFamily("family", family, family, remote)
  const local = localAddress === undefined ? undefined : familyOf(localAddress)
  if (local === undefined) return { family, lookUp: family !== undefined }
  if (local !== (family ?? local)) {
    throw new NetError.InvalidOption({
      option: "localAddress",
      value: localAddress,
      expected: `an IPv${family} address, as family says`
    })
  }
  if (SocketAddress.isInetAddress(remote)) checkFamily("localAddress", localAddress, local, remote)
  return { family: local, lookUp: family !== undefined }
}

const checkFamily = (option: string, value: unknown, family: 4 | 6, remote: SocketAddress.SocketAddress): void => {
  if (SocketAddress.isInetAddress(remote) && (familyOf(remote.host) ?? family) === family) return
  const host = SocketAddress.isInetAddress(remote) ? remote.host : remote
  throw new NetError.InvalidOption({ option, value, expected: `of one family with ${host}` })
}

/** RFC 8305, section 8. */
const defaultDelay = Duration.millis(250)
const leastDelay = Duration.millis(10)

const resolveDelay = (input: Duration.DurationInput | undefined): Duration.Duration => {
  const delay = Options.duration("connectionAttemptDelay", input, defaultDelay)
  if (Duration.greaterThanOrEqualTo(delay, leastDelay)) return delay
  throw new NetError.InvalidOption({
    option: "connectionAttemptDelay",
    value: input,
    expected: "a duration from 10 millis"
  })
}

const hasPort = ({ localPort = 0 }: Resolved): boolean => localPort > 0

/** An address of a name that was tried, and why it failed once it has. */
interface Attempt {
  readonly address: SocketAddress.InetAddress
  error: NetError.ConnectError | undefined
}

class Dial {
  connection: ConnectionImpl | undefined
  readonly #remote: SocketAddress.SocketAddress
  readonly #options: Resolved
  readonly #environment: Environment
  readonly #attempts: Array<Attempt> = []

  constructor(remote: SocketAddress.SocketAddress, options: Resolved, environment: Environment) {
    this.#remote = remote
    this.#options = options
    this.#environment = environment
  }

  get run(): Effect.Effect<Connection, NetError.ConnectError> {
    const remote = this.#remote
    if (!this.#isName(remote)) return this.#dialAddress(remote)
    return Effect.timeoutFail(this.#dialName(remote), {
      duration: this.#options.connectTimeout,
      onTimeout: () => this.#timedOut()
    })
  }

  #isName(remote: SocketAddress.SocketAddress): remote is SocketAddress.InetAddress {
    if (!SocketAddress.isInetAddress(remote) || familyOf(remote.host) !== undefined) return false
    const { transport } = this.#environment
    return this.#options.lookUp || !(transport.lookup === undefined || transport.dialsNames?.() === true)
  }

  #dialAddress(remote: SocketAddress.SocketAddress): Effect.Effect<Connection, NetError.ConnectError> {
    let giveUp = () => {}
    const opened = cancelable<Connection, NetError.ConnectError>((resume) => {
      const cancel = this.#connect(
        remote,
        this.#environment,
        (connection) => resume(Exit.succeed(connection)),
        (cause) => resume(Exit.fail(this.#failure(remote, cause)))
      )
      const abandon = () => void (this.connection === undefined && cancel())
      giveUp = () => {
        abandon()
        resume(Exit.fail(this.#timedOut()))
      }
      return Effect.sync(abandon)
    })
    return meanwhile(opened, Effect.map(Effect.sleep(this.#options.connectTimeout), () => giveUp()))
  }

  #dialName(remote: SocketAddress.InetAddress): Effect.Effect<Connection, NetError.ConnectError> {
    const { transport } = this.#environment
    const { connectionAttemptDelay, family } = this.#options
    return Effect.flatMap(
      lookup(transport, { operation, address: remote }, family),
      (hosts) =>
        Effect.mapError(race(interleave(hosts, familyOf), this.#begin, connectionAttemptDelay), () => this.#allFailed())
    )
  }

  readonly #begin = (host: string, { lost, won }: Settle<Connection>): Cancel => {
    const address = new SocketAddress.InetAddress(host, (this.#remote as SocketAddress.InetAddress).port)
    const attempt: Attempt = { address, error: undefined }
    this.#attempts.push(attempt)
    return this.#connect(address, { ...this.#environment, address }, won, (cause) => {
      attempt.error = this.#failure(address, cause)
      lost()
    })
  }

  #connect(
    remote: SocketAddress.SocketAddress,
    environment: Environment,
    onOpen: (connection: Connection) => void,
    onFail: (cause: unknown) => void
  ): Cancel {
    return environment.transport.connect({ endpoint: SocketAddress.toEndpoint(remote), ...this.#options }, {
      onOpen: (handle) => {
        const connection = this.connection = new ConnectionImpl(handle, environment)
        // Asked for while it can be told, so that it is known also after the end.
        void connection.localAddress
        onOpen(connection)
        return connection
      },
      onFail
    })
  }

  #failure(
    address: SocketAddress.SocketAddress,
    cause: unknown,
    attempts?: ReadonlyArray<NetError.ConnectError>
  ): NetError.ConnectError {
    const props = { operation, address, cause, attempts } as const
    const failure = this.#environment.transport.classify(cause)
    if (!this.#isTaken(failure)) return NetError.fromFailure<NetError.ConnectError>(failure, connectKinds, props)
    return hasPort(this.#options)
      ? new NetError.AddressInUse(props)
      : new NetError.ResourceExhausted({ ...props, resource: "ports" })
  }

  /** The local side: EADDRNOTAVAIL of a connect that asked for no address is that no port is free (connect(2)). */
  #isTaken({ kind }: Failure): boolean {
    return kind === "AddressInUse" || (kind === "AddressNotAvailable" && this.#options.localAddress === undefined)
  }

  #allFailed(): NetError.ConnectError {
    const errors = this.#attempts.map(({ error }) => error!)
    const rank = ({ _tag }: NetError.ConnectError) => (furthest.indexOf(_tag) + 1) || Infinity
    const telling = errors.reduce((best, error) => rank(error) < rank(best) ? error : best)
    return this.#failure(this.#remote, telling.cause, errors)
  }

  #timedOut(): NetError.ConnectTimeout {
    const { connectTimeout: timeout } = this.#options
    const unanswered = (address: SocketAddress.SocketAddress, attempts?: ReadonlyArray<NetError.ConnectError>) =>
      new NetError.ConnectTimeout({ operation, address, timeout, attempts })
    const errors = this.#attempts.map(({ address, error }) => error ?? unanswered(address))
    return unanswered(this.#remote, errors.length === 0 ? undefined : errors)
  }
}

/** The addresses of a host, which may be one itself. */
export const addressesOf = (
  host: string,
  family: DialOptions["family"]
): Effect.Effect<ReadonlyArray<string>, NetError.LookupError, Network> =>
  Effect.gen(function* () {
    const transport = yield* Network
    const { address, wanted } = yield* Options.valid(() => {
      const address = SocketAddress.inet(host, 0)
      const wanted = Options.family(family)
      if (wanted !== undefined) checkFamily("family", wanted, wanted, address)
      return { address, wanted }
    })
    return familyOf(address.host) === undefined
      ? yield* lookup(transport, { operation: "lookup", address }, wanted)
      : [address.host]
  })
