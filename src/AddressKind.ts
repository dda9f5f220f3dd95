/**
 * What an IP address is, by the blocks set aside for loopback, private networks, links and groups. Exported through `SocketAddress`.
 * IPv4 is judged alike in both its spellings, `10.1.2.3` and `::ffff:10.1.2.3`; names and paths are none of these.
 */
import { matches, unsafeParseCidr } from "./Cidr.ts"
import * as Ip from "./internal/ip.ts"
import type { SocketAddress } from "./SocketAddress.ts"

/**
 * 4 or 6 for an IP address, as it is written: 6 for a mapped one. `undefined` for a name or a path.
 *
 * @category predicates
 */
export const family = (address: SocketAddress | string): 4 | 6 | undefined => Ip.fromAddress(address)?.version

/**
 * Whether it is an IP address, not a name or a path. This and the following also take the text of a host and judge IPv4
 * alike in both its spellings. Names are not looked up: none of these holds for `localhost`.
 *
 * @category predicates
 */
export const isIp = (address: SocketAddress | string): boolean => Ip.fromAddress(address) !== undefined

const within = (...texts: ReadonlyArray<string>): (address: SocketAddress | string) => boolean => {
  const blocks = texts.map(unsafeParseCidr)
  return (address) => matches(blocks, address)
}

/**
 * 127.0.0.0/8 (RFC 1122) or ::1 (RFC 4291).
 *
 * @category predicates
 */
export const isLoopback: (address: SocketAddress | string) => boolean = within("127.0.0.0/8", "::1")

/**
 * 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16 (RFC 1918) or fc00::/7 (RFC 4193).
 *
 * @category predicates
 */
export const isPrivate: (address: SocketAddress | string) => boolean = within(
  "10.0.0.0/8",
  "172.16.0.0/12",
  "192.168.0.0/16",
  "fc00::/7"
)

/**
 * 169.254.0.0/16 (RFC 3927) or fe80::/10 (RFC 4291).
 *
 * @category predicates
 */
export const isLinkLocal: (address: SocketAddress | string) => boolean = within("169.254.0.0/16", "fe80::/10")

/**
 * 224.0.0.0/4 (RFC 5771) or ff00::/8 (RFC 4291).
 *
 * @category predicates
 */
export const isMulticast: (address: SocketAddress | string) => boolean = within("224.0.0.0/4", "ff00::/8")

/**
 * 0.0.0.0 or ::, which listen on every address.
 *
 * @category predicates
 */
export const isUnspecified: (address: SocketAddress | string) => boolean = within("0.0.0.0", "::")
