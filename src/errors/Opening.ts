/**
 * Why a socket could not be opened: what the system says of an address, a name or a path.
 * Which of them a retry may help against is told by `isTransient`.
 */
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Predicate from "effect/Predicate"
import { describe, leaf, type SocketErrorProps, TypeId } from "../internal/socketError.ts"

/**
 * Nobody listens at the address (RST in answer to SYN). Bun 1.4 also reports unreachable hosts so (oven-sh/bun#37093).
 *
 * @category errors
 */
export class ConnectionRefused extends leaf("ConnectionRefused", "connection refused; is a server listening there?") {}

/**
 * No connection within `connectTimeout`, which includes the look-up of the name; or the system gave up by itself.
 *
 * @category errors
 */
export class ConnectTimeout extends Data.TaggedError("ConnectTimeout")<
  SocketErrorProps & {
    readonly timeout?: Duration.Duration | undefined
  }
> {
  readonly [TypeId]: TypeId = TypeId
  override get message(): string {
    return describe(
      this,
      this.timeout === undefined ? "timed out" : `no answer within ${Duration.format(this.timeout)}`
    )
  }
}

/**
 * No route to that host (ICMP host unreachable).
 *
 * @category errors
 */
export class HostUnreachable extends leaf("HostUnreachable", "host unreachable; is it up, and on this network?") {}

/**
 * No route to that network.
 *
 * @category errors
 */
export class NetworkUnreachable extends leaf("NetworkUnreachable", "network unreachable; is there a route to it?") {}

/**
 * The host name has no address, or none of the `family` that was asked for, or the resolver did not answer.
 *
 * @category errors
 */
export class NameNotFound extends Data.TaggedError("NameNotFound")<
  SocketErrorProps & {
    readonly family?: 4 | 6 | undefined
  }
> {
  readonly [TypeId]: TypeId = TypeId
  override get message(): string {
    return describe(
      this,
      this.family === undefined
        ? "no address found for this name; is it spelt right?"
        : `no IPv${this.family} address found for this name`
    )
  }
}

/**
 * The Unix socket path, or its folder, does not exist.
 *
 * @category errors
 */
export class PathNotFound extends leaf("PathNotFound", "no such path") {}

/**
 * Somebody listens there already; or a path is that of a file which is no socket, and is left alone. Of a connect: the `localPort` that was
 * asked for is taken.
 *
 * @category errors
 */
export class AddressInUse extends leaf(
  "AddressInUse",
  ({ operation }) =>
    operation === "connect"
      ? "localPort already in use; choose another, or none to be given a free one"
      : "address already in use; stop the other server or choose another port (0 takes a free one)",
  ({ cause }) =>
    Predicate.hasProperty(cause, "code") && cause.code === "ENOTSOCK"
      ? "what lies there is no socket; move it or choose another path"
      : "address already in use; stop the other server or choose another path"
) {}

/**
 * The address is not one of this machine's.
 *
 * @category errors
 */
export class AddressNotAvailable extends leaf("AddressNotAvailable", "not an address of this machine") {}

/**
 * The system, or Deno's permission model, forbids it.
 *
 * @category errors
 */
export class PermissionDenied extends leaf(
  "PermissionDenied",
  "permission denied; ports below 1024 want privileges, broadcast its option, Deno --allow-net",
  "permission denied; file and folder want rights to them, Deno --allow-read, --allow-write and --allow-net"
) {}

/**
 * The process has no descriptors, or the system no memory, left for another socket; or, where `resource` says so, no local port that does
 * not lead to the address already (a closed one holds its own for a minute: TIME-WAIT, RFC 9293, 3.6). Systems say the same of an IPv6
 * address where they have no IPv6.
 *
 * @category errors
 */
export class ResourceExhausted extends Data.TaggedError("ResourceExhausted")<
  SocketErrorProps & {
    readonly resource?: "ports" | undefined
  }
> {
  readonly [TypeId]: TypeId = TypeId
  override get message(): string {
    return describe(this, this.resource === "ports" ? noPort(this) : noDescriptor)
  }
}

const noDescriptor = "out of descriptors or memory; raise the limit (ulimit -n) or open fewer sockets"

const noPort = ({ address }: SocketErrorProps): string =>
  address?._tag === "InetAddress" && address.host.includes(":")
    ? "no local port is free, or IPv6 is off; keep connections (a pool), or use another localAddress"
    : "no local port is free; keep connections (a pool), or use another localAddress"

/**
 * A handshake or record of TLS failed.
 *
 * @category errors
 */
export class TlsFailure extends Data.TaggedError("TlsFailure")<SocketErrorProps & { readonly reason: string }> {
  readonly [TypeId]: TypeId = TypeId
  override get message(): string {
    return describe(this, `TLS failed: ${this.reason}`)
  }
}
