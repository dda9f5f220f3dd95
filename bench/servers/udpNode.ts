/**
 * Datagrams on `node:dgram` alone, of Node or of Deno: every one is sent back, or all are counted and one of a single byte
 * asks how many, or each is a DNS query.
 */
import * as dgram from "node:dgram"
import * as process from "node:process"
import { answer } from "./dnsAnswer.ts"
import { announce } from "./announce.ts"

const socket = dgram.createSocket("udp4")
let count = 0

const echo = (bytes: Uint8Array, { address, port }: dgram.RemoteInfo): void => socket.send(bytes, port, address)

const sink = (bytes: Uint8Array, { address, port }: dgram.RemoteInfo): void => {
  if (bytes.length === 1) socket.send(String(count), port, address)
  else count++
}

const dns = (bytes: Uint8Array, { address, port }: dgram.RemoteInfo): void => {
  const reply = answer(bytes)
  if (reply !== undefined) socket.send(reply, port, address)
}

socket.on("message", process.argv[2] === "udp-sink" ? sink : process.argv[2] === "dns" ? dns : echo)
socket.on("error", () => {})
socket.bind(0, "127.0.0.1", () => announce(socket.address().port))
