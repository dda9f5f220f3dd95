/**
 * PING, SET and GET of Redis on `node:net` alone, parsed by hand: pipelines are answered in one write, what is cut
 * waits for its rest, what is no RESP or too large ends the connection, a client that does not read is not read from.
 */
import * as net from "node:net"
import { announce } from "./announce.ts"

const highWater = 65536
const maxFrame = 8 * 1024 * 1024
const maxCount = 1024 * 1024

const store = new Map<string, Buffer>()

/** The last number read, and where what follows it begins. */
let number = 0
let at = 0

/** Reads a number up to CRLF. False while it is not all there. */
const readNumber = (bytes: Buffer, from: number): boolean => {
  const negative = bytes[from] === 45
  number = 0
  for (at = negative ? from + 1 : from; at < bytes.length; at++) {
    const byte = bytes[at]!
    if (byte === 13) {
      if (at + 1 === bytes.length) return false
      if (bytes[at + 1] !== 10) throw new Error("no number")
      at += 2
      if (negative) number = -number
      return true
    }
    if (byte < 48 || byte > 57 || at - from > 20) throw new Error("no number")
    number = number * 10 + byte - 48
  }
  return false
}

/** The command at `from`, of which `at` is the end; undefined while it is not all there. */
const readCommand = (bytes: Buffer, from: number): ReadonlyArray<Buffer> | undefined => {
  if (bytes[from] !== 42) return readInline(bytes, from)
  if (!readNumber(bytes, from + 1)) return undefined
  const count = number
  if (count > maxCount) throw new Error("too many arguments")
  const args: Array<Buffer> = []
  while (args.length < count) {
    if (at >= bytes.length) return undefined
    if (bytes[at] !== 36) throw new Error("no bulk string")
    if (!readNumber(bytes, at + 1)) return undefined
    const end = at + number
    if (number < 0 || end - from > maxFrame) throw new Error("no length")
    if (bytes.length < end + 2) return undefined
    args.push(bytes.subarray(at, end))
    at = end + 2
  }
  return args
}

const readInline = (bytes: Buffer, from: number): ReadonlyArray<Buffer> | undefined => {
  const end = bytes.indexOf(10, from)
  if (end === -1) {
    if (bytes.length - from > 65536) throw new Error("too long a line")
    return undefined
  }
  at = end + 1
  return bytes.toString("latin1", from, end).split(/\s+/).filter((word) => word !== "").map((word) =>
    Buffer.from(word, "latin1")
  )
}

const execute = (args: ReadonlyArray<Buffer>): string | Buffer | null => {
  switch (args[0]!.toString("latin1").toUpperCase()) {
    case "PING":
      return args[1] ?? "+PONG\r\n"
    case "SET":
      if (args.length !== 3) return "-ERR syntax error\r\n"
      store.set(args[1]!.toString("latin1"), Buffer.from(args[2]!))
      return "+OK\r\n"
    case "GET":
      if (args.length !== 2) return "-ERR wrong number of arguments for 'get' command\r\n"
      return store.get(args[1]!.toString("latin1")) ?? null
    default:
      return "-ERR unknown command\r\n"
  }
}

const server = net.createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
  let rest: Buffer | undefined
  socket.on("data", (chunk) => {
    const bytes = rest === undefined ? chunk : Buffer.concat([rest, chunk])
    let out = ""
    let from = 0
    try {
      while (from < bytes.length) {
        const args = readCommand(bytes, from)
        if (args === undefined) break
        from = at
        if (args.length === 0) continue
        const reply = execute(args)
        if (reply === null) out += "$-1\r\n"
        else if (typeof reply === "string") out += reply
        else out += `$${reply.length}\r\n${reply.toString("latin1")}\r\n`
      }
    } catch {
      socket.destroy()
      return
    }
    rest = from === bytes.length ? undefined : bytes.subarray(from)
    if (out !== "" && !socket.write(out, "latin1") && socket.writableLength >= highWater) socket.pause()
  })
  socket.on("drain", () => socket.resume())
  socket.on("end", () => socket.end())
  socket.on("error", () => socket.destroy())
})

server.listen(0, "127.0.0.1", () => announce((server.address() as net.AddressInfo).port))
