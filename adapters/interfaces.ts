/**
 * This machine's interfaces: their names for multicast, which users may give as an address or a name and the runtimes want in a way
 * that depends on the family, IPv4 as one of the interface's addresses, IPv6 as its name in the scope id of `::` (RFC 4007, 11); and
 * the broadcast addresses of their networks.
 */
import { networkInterfaces } from "node:os"

const addressesOf = (name: string) => networkInterfaces()[name] ?? []

const nameWith = (address: string): string | undefined =>
  Object.keys(networkInterfaces()).find((name) => addressesOf(name).some((own) => own.address === address))

/**
 * The interface in the words of the runtime, for a socket or group of this family. Throws ENODEV where there is none.
 */
export const interfaceFor = (family: 4 | 6, text: string): string => {
  const found = family === 4 ? byAddress(text) : byName(text)
  if (found !== undefined) return found
  throw Object.assign(new Error(`no interface ${text} with IPv${family}`), { code: "ENODEV" })
}

const byAddress = (text: string): string | undefined =>
  /^[\d.]+$/.test(text) ? text : addressesOf(text).find(({ family }) => family === "IPv4")?.address

const byName = (text: string): string | undefined => {
  const zone = text.indexOf("%")
  if (zone >= 0) return `::${text.slice(zone)}`
  const name = /[:.]/.test(text) ? nameWith(text) : text
  return name === undefined ? undefined : `::%${name}`
}

/** Whether all hosts of a network of this machine have this IPv4 address (RFC 919). */
export const isBroadcast = (host: string): boolean =>
  Object.keys(networkInterfaces()).flatMap(addressesOf).some(({ address, family, netmask }) =>
    family === "IPv4" && (bits(address) | ~bits(netmask)) === bits(host)
  )

const bits = (address: string): number => address.split(".").reduce((bits, part) => (bits << 8) | Number(part), 0)
