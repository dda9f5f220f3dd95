/**
 * What the Bun adapter makes of Bun's sockets and their habits, on a socket of paper: needs no Bun.
 * Here are the cuts and the orders of events that a real kernel shows too seldom; the rest is the conformance suite's.
 */
import * as fc from "fast-check"
import { describe, expect, it } from "vitest"
import type { BunSocket } from "../../adapters/bun/BunApi.ts"
import { BunStream, handlers } from "../../adapters/bun/BunStream.ts"
import { bytes, Script, streamOptions, turn } from "./Script.ts"

/** Takes as many bytes as it has room for; calls `close` inside `end` and `terminate`, as Bun does. */
class PaperSocket implements BunSocket {
  data: unknown
  readonly localAddress = "127.0.0.1"
  readonly localPort = 1
  readonly remoteAddress = "127.0.0.1"
  readonly remotePort = 2
  readonly sent: Array<number> = []
  readonly verbs: Array<string> = []
  room = Infinity
  #closed = false
  write(chunk: Uint8Array): number {
    if (this.#closed) return -1
    const size = Math.min(this.room, chunk.length)
    this.room -= size
    this.sent.push(...chunk.subarray(0, size))
    return size
  }
  drain(room: number): void {
    this.room = room
    handlers.drain(this)
  }
  close(): void {
    this.#closed = true
    handlers.close(this)
  }
  shutdown = () => void this.verbs.push("shutdown")
  end = () => (this.verbs.push("end"), this.close())
  terminate = () => (this.verbs.push("terminate"), this.close())
  pause = () => void this.verbs.push("pause")
  resume = () => void this.verbs.push("resume")
  setNoDelay(): void {}
  setKeepAlive(): void {}
}

const make = (writeBuffer = 10) => {
  const socket = new PaperSocket()
  const script = new Script()
  const stream = new BunStream(socket, { ...streamOptions, writeBuffer })
  stream.attach(script.stream("c"))
  return { socket, stream, log: script.log }
}

describe("BunStream", () => {
  it("writes all bytes in order before FIN, however the kernel cuts them", async () => {
    const chunk = fc.uint8Array({ maxLength: 30 })
    const step = fc.oneof(
      chunk.map((write) => ({ write })),
      fc.array(chunk, { maxLength: 5 }).map((writev) => ({ writev })),
      fc.nat(40).map((drain) => ({ drain }))
    )
    await fc.assert(fc.asyncProperty(fc.nat(40), fc.array(step, { maxLength: 40 }), async (room, steps) => {
      const { log, socket, stream } = make()
      const given: Array<number> = []
      socket.room = room
      let free = true
      for (const step of steps) {
        if ("drain" in step) {
          const drains = log.length
          socket.drain(step.drain)
          expect(log.length - drains).toBe(!free && stream.bufferedAmount <= 10 ? 1 : 0)
          free = free || stream.bufferedAmount <= 10
        } else {
          const chunks = "write" in step ? [step.write] : step.writev
          for (const chunk of chunks) given.push(...chunk)
          free = "write" in step ? stream.write(step.write) : stream.writev(step.writev)
          expect(free).toBe(stream.bufferedAmount <= 10)
        }
        expect(socket.sent.length + stream.bufferedAmount).toBe(given.length)
      }
      stream.shutdownWrite()
      expect(stream.write(bytes(9))).toBe(true)
      if (stream.bufferedAmount > 0) expect(socket.verbs).toEqual([])
      socket.drain(Infinity)
      expect(socket.sent).toEqual(given)
      expect(socket.verbs).toEqual(["shutdown"])
      await turn()
      expect(log.filter((event) => event !== "c drain")).toEqual(["c finish"])
    }))
  })

  it("reports the close that Bun calls within a verb once, and after the verb", async () => {
    for (const verb of ["close", "reset"] as const) {
      const { log, stream } = make()
      stream[verb]()
      stream.reset()
      stream.close()
      expect(log).toEqual([])
      await turn()
      expect(log).toEqual(["c close ok"])
    }
  })

  it("tells the end of stream where Bun only closes, after FIN of our own", async () => {
    const { log, socket, stream } = make()
    stream.shutdownWrite()
    await turn()
    socket.close()
    await turn()
    expect(log).toEqual(["c finish", "c end", "c close ok"])
  })

  it("after a broken pipe, which a paused socket of Bun keeps to itself, reads what has come and closes", async () => {
    for (const end of [true, false]) {
      const { log, socket, stream } = make()
      await turn()
      socket.room = 0
      stream.write(bytes(50))
      socket.write = () => -1
      socket.drain(0)
      stream.pause()
      expect(socket.verbs).toEqual(["pause", "resume"])
      if (end) handlers.end(socket)
      await turn()
      await turn()
      await turn()
      expect(socket.verbs).toEqual(["pause", "resume", "end"])
      expect(log).toEqual(["c drain", ...(end ? ["c end", "c close ok"] : ["c close EPIPE"])])
    }
  })

  it("makes Bun pause only where nobody has begun to read by the end of the turn", async () => {
    const [read, unread] = [make(), make()]
    await Promise.resolve()
    read.stream.resume()
    await turn()
    expect(read.socket.verbs).toEqual([])
    expect(unread.socket.verbs).toEqual(["pause"])
    unread.stream.resume()
    expect(unread.socket.verbs).toEqual(["pause", "resume"])
  })
})
