/**
 * An echo server on `node:net` alone, correct and no more: half-close is passed on, and a client that does not read is not read from.
 */
import * as net from "node:net"
import { announce } from "./announce.ts"

const highWater = 65536

const server = net.createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
  socket.on("data", (chunk) => {
    // `write` answers false from the size of the chunk alone; what counts is what the kernel left behind.
    if (!socket.write(chunk) && socket.writableLength >= highWater) socket.pause()
  })
  socket.on("drain", () => socket.resume())
  socket.on("end", () => socket.end())
  socket.on("error", () => socket.destroy())
})

server.listen(0, "127.0.0.1", () => announce((server.address() as net.AddressInfo).port))
