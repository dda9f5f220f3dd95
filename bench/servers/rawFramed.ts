/**
 * Every message sent back, on `node:net` alone, split by hand: frames of one chunk are answered in one write, one that
 * is too large ends the connection, a client that does not read is not read from.
 */
import * as net from "node:net"
import * as process from "node:process"
import { announce } from "./announce.ts"

const highWater = 65536
const maxLength = process.argv[2] === "lines" ? 65536 : 8 * 1024 * 1024

/** Where the payload begins and ends, and where the next frame begins; undefined while it is not all there. */
type Split = (bytes: Buffer, from: number) => readonly [start: number, end: number, next: number] | undefined

const splitLine: Split = (bytes, from) => {
  const end = bytes.indexOf(10, from)
  if (end === -1) {
    if (bytes.length - from > maxLength + 1) throw new Error("too long")
    return undefined
  }
  const length = end > from && bytes[end - 1] === 13 ? end - 1 : end
  if (length - from > maxLength) throw new Error("too long")
  return [from, length, end + 1]
}

const splitFrame: Split = (bytes, from) => {
  if (bytes.length - from < 4) return undefined
  const length = bytes.readUInt32BE(from)
  if (length > maxLength) throw new Error("too long")
  const end = from + 4 + length
  return bytes.length < end ? undefined : [from + 4, end, end]
}

const joinLines = (lines: ReadonlyArray<Buffer>): Buffer => {
  const out = Buffer.allocUnsafe(lines.reduce((sum, line) => sum + line.length + 1, 0))
  let at = 0
  for (const line of lines) {
    at += line.copy(out, at)
    out[at++] = 10
  }
  return out
}

const joinFrames = (frames: ReadonlyArray<Buffer>): Buffer => {
  const out = Buffer.allocUnsafe(frames.reduce((sum, frame) => sum + frame.length + 4, 0))
  let at = 0
  for (const frame of frames) {
    at = out.writeUInt32BE(frame.length, at)
    at += frame.copy(out, at)
  }
  return out
}

const [split, join] = process.argv[2] === "lines" ? [splitLine, joinLines] : [splitFrame, joinFrames]

const handle = (message: Buffer): Buffer => message

const server = net.createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
  let rest: Buffer | undefined
  socket.on("data", (chunk) => {
    const bytes = rest === undefined ? chunk : Buffer.concat([rest, chunk])
    const replies: Array<Buffer> = []
    let from = 0
    try {
      for (let frame = split(bytes, from); frame !== undefined; frame = split(bytes, from)) {
        replies.push(handle(bytes.subarray(frame[0], frame[1])))
        from = frame[2]
      }
    } catch {
      socket.destroy()
      return
    }
    rest = from === bytes.length ? undefined : bytes.subarray(from)
    if (replies.length > 0 && !socket.write(join(replies)) && socket.writableLength >= highWater) socket.pause()
  })
  socket.on("drain", () => socket.resume())
  socket.on("end", () => socket.end())
  socket.on("error", () => socket.destroy())
})

server.listen(0, "127.0.0.1", () => announce((server.address() as net.AddressInfo).port))
