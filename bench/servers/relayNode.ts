/**
 * A proxy on `node:net` alone: two pipes, which pass on half-close and pause who is faster; an error ends both.
 */
import * as net from "node:net"
import * as process from "node:process"
import { announce } from "./announce.ts"

const upstream = { host: "127.0.0.1", port: Number(process.argv[3]), allowHalfOpen: true, noDelay: true }

const server = net.createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
  const other = net.connect(upstream)
  socket.pipe(other).pipe(socket)
  socket.on("error", () => other.destroy())
  other.on("error", () => socket.destroy())
})

server.listen(0, "127.0.0.1", () => announce((server.address() as net.AddressInfo).port))
