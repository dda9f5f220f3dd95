/**
 * Sockets for Effect: see the README for a tour, `Net` and `Server` for the way in.
 */
export * as Connection from "./Connection.ts"
export type * as DatagramTransport from "./DatagramTransport.ts"
export * as Framed from "./Framed.ts"
export * as FramedServer from "./FramedServer.ts"
export * as Framing from "./Framing.ts"
export * as Net from "./Net.ts"
export * as NetError from "./NetError.ts"
export * as Network from "./Network.ts"
export * as RetryBudget from "./RetryBudget.ts"
export * as RetryPolicy from "./RetryPolicy.ts"
export * as Server from "./Server.ts"
export * as SocketAddress from "./SocketAddress.ts"
export type * as Transport from "./Transport.ts"
export * as Udp from "./Udp.ts"
export * as UdpServer from "./UdpServer.ts"
export * as UdpSocket from "./UdpSocket.ts"
