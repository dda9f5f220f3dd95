/**
 * Datagrams on `Bun.udpSocket` alone: every one is sent back, and when the kernel has no room it is lost; or all are counted and one of
 * a single byte asks how many, or each is a DNS query.
 */
import * as process from "node:process"
import { bun, type BunUdpSocket } from "../../adapters/bun/BunApi.ts"
import { answer } from "./dnsAnswer.ts"
import { announce } from "./announce.ts"

let count = 0

const echo = (socket: unknown, bytes: Uint8Array, port: number, address: string): void => {
  ;(socket as BunUdpSocket).send(bytes, port, address)
}

const sink = (socket: unknown, bytes: Uint8Array, port: number, address: string): void => {
  if (bytes.length === 1) (socket as BunUdpSocket).send(Buffer.from(String(count)), port, address)
  else count++
}

const dns = (socket: unknown, bytes: Uint8Array, port: number, address: string): void => {
  const reply = answer(bytes)
  if (reply !== undefined) (socket as BunUdpSocket).send(reply, port, address)
}

const { address } = await bun().udpSocket({
  hostname: "127.0.0.1",
  port: 0,
  binaryType: "uint8array",
  socket: {
    data: process.argv[2] === "udp-sink" ? sink : process.argv[2] === "dns" ? dns : echo,
    drain() {},
    error() {}
  }
})
announce(address.port)
