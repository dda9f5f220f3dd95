import * as fc from "fast-check"
import { describe, expect, it, vi } from "vitest"
import { MemoryNetwork } from "../../adapters/memory/index.ts"
import type { StreamHandle } from "../../src/Transport.ts"
import { bytes, local, Script, turn } from "./Script.ts"

describe("a connection", () => {
  it("keeps the buffer's bound to the byte, and the rest with the writer", async () => {
    const script = new Script(MemoryNetwork.make({ bufferSize: 1000 }))
    const { client, server } = await script.pair({ writeBuffer: 500 })
    expect(client.write(bytes(1500))).toBe(true)
    expect(client.bufferedAmount).toBe(500)
    expect(client.write(bytes(1))).toBe(false)
    await turn()
    expect(client.bufferedAmount).toBe(501)
    expect(script.log).toEqual([])
    server.resume()
    await turn()
    expect(script.log).toEqual(["s1 data 1000", "s1 data 501", "c drain"])
    expect(client.bufferedAmount).toBe(0)
  })

  it("delivers every byte by itself with a buffer of one", async () => {
    const seen: Array<number> = []
    const script = new Script(MemoryNetwork.make({ bufferSize: 1 }))
    const { client, server } = await script.pair({}, {}, { onData: (chunk) => void seen.push(...chunk) })
    client.writev([Uint8Array.of(1, 2), Uint8Array.of(), Uint8Array.of(3)])
    server.resume()
    await turn()
    expect(seen).toEqual([1, 2, 3])
    expect(script.log).toEqual(["s1 data 1", "s1 data 1", "s1 data 1"])
  })

  it("joins writes as a kernel does, and gives the reader bytes of its own", async () => {
    const constant = bytes(4)
    const script = new Script()
    const { client, server } = await script.pair({}, {}, { onData: (chunk) => void chunk.fill(0) })
    server.resume()
    client.write(constant)
    client.write(constant)
    await turn()
    expect(script.log).toEqual(["s1 data 8"])
    expect(constant).toEqual(bytes(4))
  })

  it("delivers nothing while paused, also when the pause comes from the callback", async () => {
    const script = new Script(MemoryNetwork.make({ bufferSize: 10 }))
    const { client, server } = await script.pair({}, {}, { onData: () => server.pause() })
    client.write(bytes(20))
    client.shutdownWrite()
    server.resume()
    await turn()
    expect(script.log).toEqual(["s1 data 10", "c finish"])
    server.resume()
    server.resume()
    await turn()
    expect(script.log).toEqual(["s1 data 10", "c finish", "s1 data 10"])
    server.resume()
    await turn()
    expect(script.log.at(-1)).toBe("s1 end")
  })

  it("carries a late large reply after a half-close", async () => {
    const script = new Script()
    let received = 0
    const { client, server } = await script.pair({}, { onData: (chunk) => void (received += chunk.length) }, {
      onEnd: () => {
        server.write(bytes(5_000_000))
        server.close()
      }
    })
    server.resume()
    client.resume()
    client.shutdownWrite()
    await turn()
    expect(received).toBe(5_000_000)
    expect(script.log.slice(-3)).toEqual(["c end", "s1 finish", "s1 close ok"])
  })

  it("closes after all queued bytes, though the reader is slow, and the reader still gets them", async () => {
    const script = new Script(MemoryNetwork.make({ bufferSize: 10 }))
    const { client, server } = await script.pair()
    client.write(bytes(25))
    client.close()
    client.close()
    await turn()
    expect(script.log).toEqual([])
    server.resume()
    await turn()
    expect(script.log).toEqual(["s1 data 10", "s1 data 10", "s1 data 5", "s1 end", "c finish", "c close ok"])
  })

  it("resets: queued bytes are dropped, a paused peer gets what had arrived and the error", async () => {
    const script = new Script(MemoryNetwork.make({ bufferSize: 10 }))
    const { client } = await script.pair()
    client.write(bytes(25))
    client.reset()
    client.reset()
    await turn()
    expect(script.log).toEqual(["s1 data 10", "s1 close ECONNRESET", "c close ok"])
  })

  it("resets a close that cannot flush", async () => {
    const script = new Script(MemoryNetwork.make({ bufferSize: 10 }))
    const { client } = await script.pair()
    client.write(bytes(25))
    client.close()
    await turn()
    client.reset()
    await turn()
    expect(script.log).toEqual(["s1 data 10", "s1 close ECONNRESET", "c close ok"])
  })

  // The errors of these four were taken from sockets of Linux 6.18.
  it("resets the peer when it closes with input unread, after the FIN", async () => {
    const script = new Script()
    const { client, server } = await script.pair()
    client.write(bytes(1))
    server.write(bytes(2))
    server.close()
    await turn()
    expect(script.log).toEqual(["s1 finish", "s1 close ok", "c data 2", "c end", "c close EPIPE"])
  })

  it("delivers the last bytes before the reset that the same close brings", async () => {
    const script = new Script(MemoryNetwork.make({ bufferSize: 10 }))
    const { client, server } = await script.pair()
    server.write(bytes(11))
    client.write(bytes(1))
    server.close()
    client.resume()
    await turn()
    const events = script.log.filter((line) => line.startsWith("c"))
    expect(events).toEqual(["c data 10", "c data 1", "c end", "c close EPIPE"])
  })

  it("answers bytes for a closed peer with a broken pipe", async () => {
    const script = new Script()
    const { client, server } = await script.pair()
    server.close()
    client.resume()
    await turn()
    expect(client.write(bytes(1))).toBe(true)
    await turn()
    expect(script.log).toEqual(["s1 finish", "s1 close ok", "c end", "c close EPIPE"])
    expect(client.write(bytes(1))).toBe(true)
    expect(client.bufferedAmount).toBe(0)
  })

  it("resets nothing once FIN has gone both ways", async () => {
    const script = new Script()
    const { client, server } = await script.pair()
    server.write(bytes(2))
    server.shutdownWrite()
    client.write(bytes(2))
    client.shutdownWrite()
    server.reset()
    client.resume()
    await turn()
    expect(script.log.filter((line) => line.startsWith("c"))).toEqual(["c data 2", "c end", "c finish"])
  })

  it("resets a peer that has only shut down its side", async () => {
    const script = new Script()
    const { client, server } = await script.pair()
    client.shutdownWrite()
    server.reset()
    await turn()
    expect(script.log).toEqual(["c finish", "c close ECONNRESET", "s1 close ok"])
  })

  it("lets two ends close that wait for each other's room", async () => {
    const script = new Script(MemoryNetwork.make({ bufferSize: 10 }))
    const { client, server } = await script.pair()
    client.write(bytes(100))
    server.write(bytes(100))
    client.close()
    server.close()
    await turn()
    expect(script.log.filter((line) => line.includes("close"))).toHaveLength(2)
  })

  it("delivers a prefix of what was written and one onClose at last, whatever verbs come", async () => {
    const verb = fc.constantFrom("write", "shutdownWrite", "close", "reset", "resume", "pause", "turn")
    const steps = fc.array(fc.record({ end: fc.boolean(), verb, size: fc.nat(30) }), { maxLength: 12 })
    await fc.assert(
      fc.asyncProperty(steps, async (steps) => {
        const script = new Script(MemoryNetwork.make({ bufferSize: 10 }))
        const sent: [Array<number>, Array<number>] = [[], []]
        const received: [Array<number>, Array<number>] = [[], []]
        const pair = await script.pair({ writeBuffer: 20 }, { onData: (chunk) => void received[1].push(...chunk) }, {
          onData: (chunk) => void received[0].push(...chunk)
        })
        for (const { end, size, verb } of steps) {
          const handle = end ? pair.client : pair.server
          if (verb === "turn") await turn()
          else if (verb === "write") {
            const chunk = Uint8Array.from({ length: size }, (_, i) => (i * 7 + size) % 256)
            sent[end ? 0 : 1].push(...chunk)
            expect(handle.write(chunk)).toBe(handle.bufferedAmount <= 20)
          } else handle[verb]()
        }
        for (const end of [0, 1] as const) {
          expect(sent[end].slice(0, received[end].length)).toEqual(received[end])
        }
        pair.client.close()
        pair.server.close()
        await turn()
        for (const name of ["c", "s1"]) {
          const events = script.log.filter((line) => line.startsWith(`${name} `)).map((line) => line.split(" ")[1])
          expect(events.indexOf("close")).toBe(events.length - 1)
          for (const once of ["end", "finish"]) expect(events.filter((event) => event === once).length).toBeLessThan(2)
        }
      }),
      { numRuns: 300 }
    )
  })
})

describe("the order of events", () => {
  const program = async () => {
    const script = new Script(MemoryNetwork.make({ bufferSize: 100 }))
    const echo: { handle?: StreamHandle } = {}
    const listener = script.listen("s", local(80), {}, { onData: () => echo.handle!.write(bytes(70)) })
    const dials = ["a", "b", "c"].map((name) => script.connect(name, local(80)))
    await turn()
    echo.handle = listener.accepted[1]!
    for (const handle of listener.accepted) handle.resume()
    dials.forEach(({ handle }, i) => handle!.write(bytes(250 * (i + 1))))
    dials[0]!.handle!.shutdownWrite()
    dials[1]!.handle!.resume()
    await turn()
    dials[2]!.handle!.reset()
    listener.handle!.close()
    await turn()
    return script.log
  }

  it("is the same whenever the program is the same", async () => {
    const first = await program()
    expect(first.length).toBeGreaterThan(20)
    expect(await program()).toEqual(first)
  })

  it("never has a callback inside a verb", async () => {
    let inVerb = false
    const check = () => expect(inVerb).toBe(false)
    const react = { onData: check, onEnd: check, onDrain: check, onFinish: check, onClose: check }
    const script = new Script()
    const { client, server } = await script.pair({}, react, react)
    inVerb = true
    server.resume()
    client.write(bytes(200_000))
    client.shutdownWrite()
    server.shutdownWrite()
    inVerb = false
    await turn()
    inVerb = true
    client.close()
    server.reset()
    inVerb = false
    await turn()
    expect(script.log).toHaveLength(10)
  })

  it("leaves timers their turn during an endless ping-pong", async () => {
    const script = new Script()
    let rounds = 0
    const { client, server } = await script.pair({}, {
      onData: (chunk) => {
        rounds++
        client.write(chunk)
      }
    }, { onData: (chunk) => void server.write(chunk) })
    client.resume()
    server.resume()
    client.write(bytes(1))
    for (let turns = 0; turns < 5; turns++) {
      const before = rounds
      await new Promise((resolve) => setTimeout(resolve, 0))
      expect(rounds).toBeGreaterThan(before)
    }
    client.reset()
  })

  it("goes on under fake timers", async () => {
    vi.useFakeTimers()
    try {
      const script = new Script(MemoryNetwork.make({ bufferSize: 1 }))
      await new Promise<void>((resolve) => {
        const listener = script.listen("s", local(80), {}, { onEnd: resolve })
        script.network.afterPoll(() => {
          const dial = script.connect("c", local(80))
          script.network.afterPoll(() =>
            script.network.afterPoll(() => {
              listener.accepted[0]!.resume()
              dial.handle!.write(bytes(2000))
              dial.handle!.close()
            })
          )
        })
      })
      expect(script.log.filter((line) => line === "s1 data 1")).toHaveLength(2000)
    } finally {
      vi.useRealTimers()
    }
  })

  it("goes on after a callback that throws", async () => {
    const script = new Script()
    const { client, server } = await script.pair()
    const uncaught = new Promise<unknown>((resolve) => {
      const others = process.listeners("uncaughtException")
      process.removeAllListeners("uncaughtException")
      process.once("uncaughtException", (error) => {
        for (const listener of others) process.on("uncaughtException", listener)
        resolve(error)
      })
    })
    script.network.afterPoll(() => {
      throw new Error("thrown by a callback")
    })
    client.write(bytes(1))
    server.resume()
    expect(await uncaught).toMatchObject({ message: "thrown by a callback" })
    await turn()
    expect(script.log).toEqual(["s1 data 1"])
  })

  it("polls after what can be delivered already", async () => {
    const script = new Script()
    const { client, server } = await script.pair()
    server.resume()
    client.write(bytes(1))
    script.network.afterPoll(() => void script.log.push("polled"))
    await turn()
    expect(script.log).toEqual(["s1 data 1", "polled"])
  })
})
