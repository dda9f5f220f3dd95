/**
 * Host names by the system's resolver (getaddrinfo), in its order, through `node:dns`, which Deno and Bun have too.
 * A look-up cannot be called off; what comes after a cancel is dropped.
 */
import * as dns from "node:dns"
import type { Cancel, LookupEvents } from "../../src/Transport.ts"

export const lookup = (host: string, events: LookupEvents): Cancel => {
  let cancelled = false
  dns.lookup(host, { all: true, verbatim: true }, (error, addresses) => {
    if (cancelled) return
    if (error) events.onFail(error)
    else events.onFound(addresses.map(({ address }) => address))
  })
  return () => {
    cancelled = true
  }
}
