/**
 * IP addresses, blocks and host names as text and numbers, free of Effect.
 * Reading is strict (RFC 4291, RFC 4632, dotted quads without leading zeros), writing canonical (RFC 5952).
 * Nothing here throws: text that is not what is asked for gives `undefined`.
 */

import type { Endpoint } from "../Transport.ts"

/**
 * An address as eight 16-bit groups. IPv4 keeps its groups in the mapped form ::ffff:a.b.c.d (RFC 4291, 2.5.5.2), so
 * that both spellings compare alike; `version` tells which one was written.
 */
export interface Ip {
  readonly version: 4 | 6
  readonly groups: ReadonlyArray<number>
  /** RFC 4007 scope id as written after `%`. */
  readonly zone: string | undefined
}

/** The addresses whose groups equal `groups` under `masks`. `prefix` counts from the first of 128 bits. */
export interface Block {
  readonly groups: ReadonlyArray<number>
  readonly masks: ReadonlyArray<number>
  readonly prefix: number
}

/** No IPv6 address is longer: six groups of four digits and a dotted tail. */
const maxV6Length = 45
const mappedPrefix = 96

const octet = "(25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)"
const dottedQuad = new RegExp(`^${octet}\\.${octet}\\.${octet}\\.${octet}$`)
const hexGroup = /^[\da-f]{1,4}$/i
// What Linux allows in the name of an interface (dev_valid_name), less what would read as another part of an address.
const zoneId = /^[^\s\0-\x20\x7f%/:[\]]+$/
const prefixLength = /^(0|[1-9]\d{0,2})$/
const nameLabel = /^[a-z\d_-]{1,63}$/i
const numericLabel = /^(\d+|0x[\da-f]*)$/i

/** A dotted quad as two groups. */
const parseQuad = (text: string): readonly [number, number] | undefined => {
  const match = dottedQuad.exec(text)
  return match === null ? undefined : [(+match[1]! << 8) | +match[2]!, (+match[3]! << 8) | +match[4]!]
}

/** The groups on one side of `::`. Only the end of an address may be a dotted quad. */
const parseGroups = (text: string, isEnd: boolean): ReadonlyArray<number> | undefined => {
  if (text === "") return []
  const parts = text.split(":")
  const quad = isEnd ? parseQuad(parts[parts.length - 1]!) : undefined
  if (quad !== undefined) parts.pop()
  if (!parts.every((part) => hexGroup.test(part))) return undefined
  const groups = parts.map((part) => parseInt(part, 16))
  return quad === undefined ? groups : [...groups, ...quad]
}

const parseV6 = (text: string): ReadonlyArray<number> | undefined => {
  if (text.length > maxV6Length) return undefined
  const sides = text.split("::")
  if (sides.length > 2) return undefined
  const head = parseGroups(sides[0]!, sides.length === 1)
  const tail = parseGroups(sides[1] ?? "", true)
  if (head === undefined || tail === undefined) return undefined
  const missing = 8 - head.length - tail.length
  // `::` stands for one group or more (RFC 4291, 2.2).
  if (sides.length === 1 ? missing !== 0 : missing < 1) return undefined
  return [...head, ...new Array<number>(missing).fill(0), ...tail]
}

/** Reads an address, without brackets. */
export const parse = (text: string): Ip | undefined => {
  const quad = parseQuad(text)
  if (quad !== undefined) return { version: 4, groups: [0, 0, 0, 0, 0, 0xffff, ...quad], zone: undefined }
  const percent = text.indexOf("%")
  const zone = percent < 0 ? undefined : text.slice(percent + 1)
  if (zone !== undefined && !zoneId.test(zone)) return undefined
  const groups = parseV6(percent < 0 ? text : text.slice(0, percent))
  return groups && { version: 6, groups, zone }
}

const isMapped = (groups: ReadonlyArray<number>): boolean =>
  groups[5] === 0xffff && (groups[0]! | groups[1]! | groups[2]! | groups[3]! | groups[4]!) === 0

const formatQuad = (groups: ReadonlyArray<number>): string =>
  `${groups[6]! >> 8}.${groups[6]! & 255}.${groups[7]! >> 8}.${groups[7]! & 255}`

/** The first of the longest runs of zeros; one zero is no run (RFC 5952, 4.2). */
const longestRun = (groups: ReadonlyArray<number>): { readonly start: number; readonly length: number } => {
  let best = { start: 0, length: 1 }
  for (let start = 0, end = 0; start < 8; start = ++end) {
    while (groups[end] === 0) end++
    if (end - start > best.length) best = { start, length: end - start }
  }
  return best
}

const formatGroups = (groups: ReadonlyArray<number>): string => {
  if (isMapped(groups)) return `::ffff:${formatQuad(groups)}`
  const hex = groups.map((group) => group.toString(16))
  const { length, start } = longestRun(groups)
  return length < 2 ? hex.join(":") : `${hex.slice(0, start).join(":")}::${hex.slice(start + length).join(":")}`
}

/** The canonical text (RFC 5952): a mapped address with a dotted tail, the scope id as it was. */
export const format = ({ groups, version, zone }: Ip): string => {
  if (version === 4) return formatQuad(groups)
  return zone === undefined ? formatGroups(groups) : `${formatGroups(groups)}%${zone}`
}

/** The IPv4 address inside a mapped one; its scope id, which means nothing in IPv4, is left out. */
export const unmap = (text: string): string | undefined => {
  const ip = parse(text)
  return ip?.version === 6 && isMapped(ip.groups) ? formatQuad(ip.groups) : undefined
}

/**
 * Whether a resolver may be asked for this name: ASCII letters, digits, `-` and `_` in labels of 1-63, 253 in all
 * (RFC 1123, 2.1). A last label that is a number is refused: getaddrinfo reads `127.1` and `0x7f000001` as addresses,
 * past every check of the text.
 */
const isName = (text: string): boolean => {
  const name = text.endsWith(".") ? text.slice(0, -1) : text
  if (name.length > 253) return false
  const labels = name.split(".")
  return labels.every((label) => nameLabel.test(label)) && !numericLabel.test(labels[labels.length - 1]!)
}

/** Reads an address with or without brackets (RFC 3986, 3.2.2). Brackets around anything but IPv6 are no address. */
const parseHost = (host: string): Ip | undefined =>
  parse(host.startsWith("[") && host.endsWith("]") && host.includes(":") ? host.slice(1, -1) : host)

/** The IP address of a socket address, or in the text of a host. */
export const fromAddress = (address: Endpoint | string): Ip | undefined => {
  if (typeof address === "string") return parseHost(address)
  return "path" in address ? undefined : parse(address.host)
}

/** The one text for a host: a canonical address, or a name in lower case. */
export const canonicalHost = (host: string): string | undefined => {
  const ip = parseHost(host)
  if (ip !== undefined) return format(ip)
  return isName(host) ? host.toLowerCase() : undefined
}

/** Reads CIDR notation; an address alone is a block of one. Bits after the prefix are cleared, scope ids refused. */
export const parseBlock = (text: string): Block | undefined => {
  const slash = text.indexOf("/")
  const ip = parse(slash < 0 ? text : text.slice(0, slash))
  const length = slash < 0 ? undefined : text.slice(slash + 1)
  if (ip === undefined || ip.zone !== undefined) return undefined
  if (length !== undefined && !prefixLength.test(length)) return undefined
  const prefix = length === undefined ? 128 : Number(length) + (ip.version === 4 ? mappedPrefix : 0)
  if (prefix > 128) return undefined
  const masks = ip.groups.map((_, i) => (0xffff << Math.max(0, Math.min(16, 16 * (i + 1) - prefix))) & 0xffff)
  return { groups: ip.groups.map((group, i) => group & masks[i]!), masks, prefix }
}

export const formatBlock = ({ groups, prefix }: Block): string =>
  prefix >= mappedPrefix && isMapped(groups)
    ? `${formatQuad(groups)}/${prefix - mappedPrefix}`
    : `${formatGroups(groups)}/${prefix}`

/** IPv4, in either spelling, lies in IPv4 blocks only: `::/0` is all of IPv6, not all of both. */
export const contains = ({ groups, masks, prefix }: Block, ip: Ip): boolean => {
  for (let i = 0; i < 8; i++) if ((ip.groups[i]! & masks[i]!) !== groups[i]) return false
  return prefix >= mappedPrefix || !isMapped(ip.groups)
}
