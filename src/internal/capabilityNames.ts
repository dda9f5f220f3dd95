/**
 * What each capability is to a user, in Markdown: the rows of the README's support table, in its order, and what `Unsupported` says.
 */
import type { Capability } from "../Transport.ts"

export const capabilityNames: Readonly<Record<Capability, string>> = {
  unix: "Unix domain sockets",
  unixAbstract: "abstract names of Unix domain sockets",
  datagram: "UDP",
  datagramReusePort: "UDP `reusePort`: several processes share a port and its senders",
  datagramBuffers: "UDP: `recvBufferSize` and `sendBufferSize`",
  datagramErrors: "UDP: why a datagram was not sent, and that a connected peer refuses, is told",
  multicastSourceV6: "UDP: `source` of an IPv6 multicast group",
  localAddress: "`localAddress` and `localPort` of an outgoing connection",
  backlog: "`backlog`, the length of the kernel's queue",
  acceptPause: "the kernel's queue fills while nobody accepts (elsewhere this library queues, up to `backlog`)",
  reusePort: "`reusePort`: several processes accept on one port",
  ipv6Only: "`ipv6Only`: a listener on `::` leaves IPv4 alone",
  keepAliveDelay: "the delay of `keepAlive` is one's own",
  reset: "closing with a reset (RST)",
  resetVisible: "a reset by the peer is always told from its end of stream",
  unreachableVisible: "host and network unreachable are told from a refusal"
}
