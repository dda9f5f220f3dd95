/**
 * Host names to IP addresses, by the transport's resolver.
 * The resolver's order is kept; interrupting a look-up abandons it.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { ErrorKind } from "../ErrorKind.ts"
import * as NetError from "../NetError.ts"
import { InetAddress } from "../SocketAddress.ts"
import type { Transport } from "../Transport.ts"
import { cancelable } from "./suspension.ts"

export type LookupError = Exclude<NetError.LookupError, NetError.InvalidOption>

const lookupKinds: ReadonlySet<ErrorKind> = new Set(["NameNotFound", "PermissionDenied", "ResourceExhausted"])

/** The family of a host that `SocketAddress` has made, nothing for a name: only an IPv4 address ends in a number. */
export const familyOf = (host: string): 4 | 6 | undefined => {
  if (host.includes(":")) return 6
  return /(^|\.)\d+$/.test(host) ? 4 : undefined
}

/** IPv4 as an IPv6 socket writes it (RFC 4291, 2.5.5.2). */
export const mapped = (host: string): string => `::ffff:${host}`

type About = Pick<NetError.NameNotFound, "operation"> & { readonly address: InetAddress }

/** All addresses of a name, in the resolver's order; at least one. */
const find = (transport: Transport, about: About): Effect.Effect<ReadonlyArray<string>, LookupError> =>
  transport.lookup === undefined
    ? Exit.fail(new NetError.NameNotFound(about))
    : cancelable<ReadonlyArray<string>, LookupError>((resume) =>
      Effect.sync(transport.lookup!(about.address.host, {
        onFound: (addresses) => resume(Exit.succeed(addresses)),
        onFail: (cause) =>
          resume(
            Exit.fail(NetError.fromFailure<LookupError>(transport.classify(cause), lookupKinds, { ...about, cause }))
          )
      }))
    )

/** The different addresses of a name, in the resolver's order; of `family`, where it is given. At least one. */
export const lookup = (
  transport: Transport,
  about: About,
  family: 4 | 6 | undefined
): Effect.Effect<ReadonlyArray<string>, LookupError> =>
  Effect.flatMap(find(transport, about), (found) => {
    const wanted = new Set(found.filter((host) => family === undefined || familyOf(host) === family))
    return wanted.size > 0 ? Exit.succeed([...wanted]) : Exit.fail(new NetError.NameNotFound({ ...about, family }))
  })

/**
 * The address with an IP address for its host: itself, or the first that its name has. Of `family`, where it is given;
 * an IPv6 socket takes IPv4 addresses as mapped ones.
 */
export const resolve = (
  transport: Transport,
  address: InetAddress,
  operation: NetError.Operation,
  family?: 4 | 6
): Effect.Effect<InetAddress, LookupError> => {
  if (familyOf(address.host) !== undefined) return Exit.succeed(address)
  return Effect.flatMap(find(transport, { operation, address }), (addresses) => {
    const first = addresses.find((host) => family === undefined || familyOf(host) === family)
    if (first !== undefined) return Exit.succeed(new InetAddress(first, address.port))
    return family === 6 && addresses.length > 0
      ? Exit.succeed(new InetAddress(mapped(addresses[0]!), address.port))
      : Exit.fail(new NetError.NameNotFound({ operation, address, family }))
  })
}
