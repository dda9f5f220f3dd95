/**
 * What can be changed on an open datagram socket: its options, and the multicast groups that it is a member of.
 * A membership is told from every other by its group, interface and source, and left with the scope it was joined in.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { DatagramHandle, DatagramSettings, Membership } from "../DatagramTransport.ts"
import type { ErrorKind } from "../ErrorKind.ts"
import * as NetError from "../NetError.ts"
import type { InetAddress } from "../SocketAddress.ts"
import type { Transport } from "../Transport.ts"
import type { Socket } from "../UdpSocket.ts"
import * as DatagramOptions from "./datagramOptions.ts"
import type { DatagramOutbound } from "./datagramOutbound.ts"
import { familyOf } from "./lookup.ts"
import * as Options from "./options.ts"

const kinds: ReadonlySet<ErrorKind> = new Set(["PermissionDenied", "ResourceExhausted"])
const interfaceOfThisMachine = "an IP address or the name of an interface of this machine"

export class DatagramControl {
  readonly #handle: DatagramHandle
  readonly #transport: Transport
  readonly #address: InetAddress
  readonly #outbound: DatagramOutbound
  readonly #memberships = new Set<string>()

  constructor(handle: DatagramHandle, transport: Transport, address: InetAddress, outbound: DatagramOutbound) {
    this.#handle = handle
    this.#transport = transport
    this.#address = address
    this.#outbound = outbound
  }

  readonly configure: Socket["configure"] = (settings) =>
    Effect.flatMap(
      Options.valid(() => DatagramOptions.resolveSettings(settings)),
      (resolved) => this.apply(resolved, "configure")
    )

  apply(
    settings: DatagramSettings,
    operation: "configure" | "bind" | "connect"
  ): Exit.Exit<void, NetError.DatagramError> {
    return this.#attempt(operation, "multicastInterface", settings.multicastInterface, () => {
      this.#handle.configure(settings)
      this.#outbound.broadcast = settings.broadcast ?? this.#outbound.broadcast
    })
  }

  readonly joinMulticast: Socket["joinMulticast"] = (group, options = {}) =>
    Effect.flatMap(
      Options.checked(() => this.#membership(group, options)),
      (membership) =>
        Effect.acquireRelease(
          Effect.suspend(() => this.#attempt("join", "interface", membership.interface, () => this.#join(membership))),
          () => Effect.sync(() => this.#leave(membership))
        )
    )

  #membership(group: string, options: DatagramOptions.MulticastOptions): Membership {
    const family = familyOf(this.#address.host)!
    const membership = DatagramOptions.resolveMembership(group, options, family, this.#transport)
    if (!this.#memberships.has(nameOf(membership))) return membership
    const expected = "a group that this socket has yet to join"
    throw new NetError.InvalidOption({ option: "group", value: group, expected })
  }

  #join(membership: Membership): void {
    this.#handle.join(membership)
    this.#memberships.add(nameOf(membership))
  }

  #leave(membership: Membership): void {
    this.#memberships.delete(nameOf(membership))
    if (this.#outbound.closed) return
    try {
      this.#handle.leave(membership)
    } catch {
      // The interface is gone, and the membership with it.
    }
  }

  /** What the runtime does not take an interface for is an option that is wrong. */
  #attempt(
    operation: NetError.Operation,
    option: string,
    value: string | undefined,
    run: () => void
  ): Exit.Exit<void, NetError.DatagramError> {
    const about = { operation, address: this.#address }
    if (this.#outbound.closed) return Exit.fail(new NetError.ConnectionClosed(about))
    try {
      return Exit.succeed(run())
    } catch (cause) {
      const failure = this.#transport.classify(cause)
      return Exit.fail(
        failure.kind === "AddressNotAvailable" && value !== undefined
          ? new NetError.InvalidOption({ option, value, expected: interfaceOfThisMachine })
          : NetError.fromFailure<NetError.DatagramError>(failure, kinds, { ...about, cause })
      )
    }
  }
}

const nameOf = ({ group, interface: name, source }: Membership): string => `${group} ${name} ${source}`
