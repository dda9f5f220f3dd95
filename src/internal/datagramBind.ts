/**
 * Opening datagram sockets: what `Udp.bind`, `Udp.connect` and `UdpServer` stand on.
 * Options are checked before anything is opened; the socket is closed, and its port free again, when the scope closes.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Scope from "effect/Scope"
import type { DatagramRequest, DatagramSettings } from "../DatagramTransport.ts"
import type { ErrorKind } from "../ErrorKind.ts"
import * as NetError from "../NetError.ts"
import { Network } from "../Network.ts"
import * as SocketAddress from "../SocketAddress.ts"
import type { Transport } from "../Transport.ts"
import * as DatagramOptions from "./datagramOptions.ts"
import { reachable } from "./datagramOutbound.ts"
import { type DatagramEnvironment, DatagramSocketImpl } from "./datagramSocket.ts"
import { familyOf, resolve } from "./lookup.ts"
import * as Options from "./options.ts"
import { cancelable } from "./suspension.ts"

/** How to open a connected datagram socket. */
export interface UdpConnectOptions extends DatagramOptions.UdpOptions {
  /** The address of this machine to send from. Default: the system's choice. */
  readonly localAddress?: string | undefined
  /** The port to send from. Default: a free one. */
  readonly localPort?: number | undefined
}

type Opened<E> = Effect.Effect<DatagramSocketImpl, E, Network | Scope.Scope>

const bindKinds: ReadonlySet<ErrorKind> = new Set([
  "AddressInUse",
  "AddressNotAvailable",
  "PermissionDenied",
  "ResourceExhausted"
])
const connectKinds: ReadonlySet<ErrorKind> = new Set([...bindKinds, "HostUnreachable", "NetworkUnreachable"])

export const bind = (
  input: SocketAddress.AddressInput,
  options: DatagramOptions.UdpOptions
): Opened<NetError.BindError> =>
  Effect.gen(function* () {
    const transport = yield* Network
    const address = yield* inet(input)
    const resolved = yield* Options.checked(() => DatagramOptions.resolve(options, transport, "bind"))
    const endpoint = yield* resolve(transport, address, "bind")
    return yield* open<NetError.BindError>(
      { ...resolved, endpoint, remote: undefined },
      { operation: "bind", address },
      bindKinds
    )
  })

export const connect = (input: SocketAddress.AddressInput, options: UdpConnectOptions): Opened<NetError.ConnectError> =>
  Effect.gen(function* () {
    const transport = yield* Network
    const address = yield* inet(input)
    const resolved = yield* Options.checked(() => resolveConnect(address, options, transport))
    const family = resolved.localAddress === undefined ? undefined : familyOf(resolved.localAddress)
    const remote = reachable(yield* resolve(transport, address, "connect", family))
    const { localAddress = remote.host.includes(":") ? "::" : "0.0.0.0", localPort = 0 } = resolved
    const endpoint = { host: localAddress, port: localPort }
    return yield* open<NetError.ConnectError>(
      { ...resolved, endpoint, remote },
      { operation: "connect", address },
      connectKinds
    )
  })

const inet = (input: SocketAddress.AddressInput): Effect.Effect<SocketAddress.InetAddress, NetError.InvalidOption> =>
  Effect.flatMap(
    SocketAddress.fromInput(input),
    (address) =>
      SocketAddress.isInetAddress(address) ? Effect.succeed(address) : Effect.fail(
        new NetError.InvalidOption({ option: "address", value: address, expected: "an address with a port" })
      )
  )

const resolveConnect = (address: SocketAddress.InetAddress, options: UdpConnectOptions, transport: Transport) => {
  if (address.port === 0) throw new NetError.InvalidOption({ option: "port", value: 0, expected: "a port to send to" })
  const resolved = { ...DatagramOptions.resolve(options, transport, "connect"), ...Options.local(options) }
  const { localAddress } = resolved
  if (localAddress !== undefined && (familyOf(address.host) ?? familyOf(localAddress)) !== familyOf(localAddress)) {
    const expected = `of one family with ${address.host}`
    throw new NetError.InvalidOption({ option: "localAddress", value: localAddress, expected })
  }
  return resolved
}

const open = <E extends NetError.NetError>(
  { bounds, settings, ...request }: DatagramRequest & Pick<DatagramEnvironment, "bounds"> & {
    readonly settings: DatagramSettings
    readonly remote: SocketAddress.InetAddress | undefined
  },
  about: { readonly operation: "bind" | "connect"; readonly address: SocketAddress.InetAddress },
  kinds: ReadonlySet<ErrorKind>
): Opened<E | NetError.Unknown> =>
  Effect.gen(function* () {
    const transport = yield* Network
    const environment = { transport, clock: yield* Effect.clock, bounds, remote: request.remote }
    let socket: DatagramSocketImpl | undefined
    yield* Effect.addFinalizer(() => socket === undefined ? Effect.void : socket.close)
    return yield* cancelable<DatagramSocketImpl, E | NetError.Unknown>((resume) => {
      const cancel = transport.bindDatagram!(request, {
        onOpen(handle) {
          socket = new DatagramSocketImpl(handle, environment)
          const configured = socket.control.apply(settings, about.operation)
          if (Exit.isFailure(configured)) socket.unsafeClose()
          resume(Exit.as(configured, socket) as Exit.Exit<DatagramSocketImpl, E>)
          return socket
        },
        onFail: (cause) =>
          resume(Exit.fail(NetError.fromFailure<E>(transport.classify(cause), kinds, { ...about, cause })))
      })
      return Effect.sync(() => socket === undefined && cancel())
    })
  })
