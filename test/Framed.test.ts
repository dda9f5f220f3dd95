import { describe, expect, it } from "@effect/vitest"
import { Chunk, Deferred, Effect, Exit, Fiber, Option, type Scope, Stream } from "effect"
import * as fc from "effect/FastCheck"
import { Framed, FramedServer, Framing, Net, type Network, Server } from "effect-netkit"
import { MemoryNetwork } from "effect-netkit/memory"

const lines = Framing.lines({ maxFrameLength: 64 }).pipe(Framing.text())

const onMemory = <A, E>(name: string, effect: () => Effect.Effect<A, E, Scope.Scope | Network.Network>) =>
  it.scoped(name, () => Effect.provide(effect(), MemoryNetwork.layer))

/** A plain connection and, at its other end, one that speaks lines. */
const pair = Effect.gen(function* () {
  const listener = yield* Net.listen({ port: 0 })
  const raw = yield* Net.connect(listener.address)
  return { raw, framed: Framed.make(yield* listener.accept, lines) }
})

const server = <E>(options: Omit<Parameters<typeof FramedServer.make<string, string, E>>[0], "listen" | "codec">) =>
  Effect.gen(function* () {
    const running = yield* Server.serve(FramedServer.make({ listen: { port: 0 }, codec: lines, ...options }))
    const { address } = running
    return { address, running, client: yield* Framed.connect(address, lines) }
  })

const startsWith = (text: string, start: Uint8Array): boolean | "more" => {
  const seen = new TextDecoder().decode(start)
  return seen.startsWith(text) ? true : text.startsWith(seen) ? "more" : false
}

describe("Framed", () => {
  onMemory("receives messages one by one, then none again and again", () =>
    Effect.gen(function* () {
      const { framed, raw } = yield* pair
      yield* raw.write("one\ntw")
      expect(yield* framed.receive).toEqual(Option.some("one"))
      const waiting = yield* Effect.fork(framed.receive)
      yield* raw.write("o\r\nlast")
      expect(yield* Fiber.join(waiting)).toEqual(Option.some("two"))
      yield* raw.shutdown
      expect(yield* framed.receive).toEqual(Option.some("last"))
      expect(yield* framed.receive).toEqual(Option.none())
      expect(yield* framed.receive).toEqual(Option.none())
    }))

  onMemory("an interrupted receive loses nothing", () =>
    Effect.gen(function* () {
      const { framed, raw } = yield* pair
      for (const cut of ["ab", "cd", "\nef"]) {
        const waiting = yield* Effect.fork(framed.receive)
        yield* Effect.yieldNow()
        yield* Fiber.interrupt(waiting)
        yield* raw.write(cut)
      }
      expect(yield* framed.receive).toEqual(Option.some("abcd"))
      yield* raw.write("\n")
      expect(yield* framed.receive).toEqual(Option.some("ef"))
    }))

  onMemory("a connection that another has made is refused by name", () =>
    Effect.gen(function* () {
      const { framed } = yield* pair
      const foreign = { ...framed.connection }
      expect(() => Framed.make(foreign, lines)).toThrow("connection given: not one that this package made")
      expect(() => FramedServer.handler({ codec: lines, handler: () => () => {} })(foreign)).toThrow("not one that")
    }))

  onMemory("what is sent in answer to messages that came together leaves together", () =>
    Effect.gen(function* () {
      const { framed, raw } = yield* pair
      yield* raw.write("a\nb\nc\nd\n")
      for (let i = 0; i < 3; i++) {
        const message = yield* framed.receive
        yield* framed.send(`re ${Option.getOrThrow(message)}`)
      }
      expect((yield* framed.connection.stats).bytesWritten).toBe(15)
      expect(Option.map(yield* raw.read, (chunk) => new TextDecoder().decode(chunk)))
        .toEqual(Option.some("re a\nre b\nre c\n"))
      expect(yield* framed.receive).toEqual(Option.some("d"))
      yield* framed.send("alone")
      expect(yield* raw.readUntil("\n")).toEqual(new TextEncoder().encode("alone\n"))
    }))

  onMemory(
    "what was sent before a FIN arrives, though what was held back before it took the last of the room",
    () =>
      Effect.gen(function* () {
        const listener = yield* Net.listen({ port: 0 }, { writeBuffer: 1000 })
        const raw = yield* Net.connect(listener.address)
        const server = yield* listener.accept
        const framed = Framed.make(server, Framing.lines({ maxFrameLength: 40_000 }).pipe(Framing.text()))
        yield* raw.write("a\nb\n")
        yield* framed.receive
        for (let i = 0; i < 40; i++) yield* server.write("x".repeat(900))
        yield* framed.send("y".repeat(40_000))
        yield* server.write("last")
        yield* server.shutdown
        const received = yield* raw.stream.pipe(Stream.decodeText(), Stream.mkString)
        expect(received.slice(-10)).toBe("yyyyy\nlast")
        expect((yield* server.stats).bytesWritten).toBe(40 * 900 + 40_001 + 4)
      })
  )

  it.effect.prop(
    "whatever is sent leaves whole and in order, and before a close or a FIN, however much waits to be received",
    {
      steps: fc.array(
        fc.record({
          way: fc.constantFrom("receive", "send", "sendAll", "write", "writeAll", "refused", "yield", "sink"),
          size: fc.integer({ min: 0, max: 50 })
        }),
        { maxLength: 40 }
      ),
      end: fc.constantFrom("close", "shutdown"),
      waiting: fc.integer({ min: 0, max: 40 })
    },
    ({ end, steps, waiting }) =>
      Effect.gen(function* () {
        const { framed, raw } = yield* pair
        const { connection } = framed
        yield* raw.write("x\n".repeat(waiting))
        const reading = yield* Effect.fork(Stream.mkString(Stream.decodeText(raw.stream)))
        let received = 0
        let expected = ""
        for (const [at, { size, way }] of steps.entries()) {
          const text = `${at}${"-".repeat(size)}`
          if (way === "receive" && received++ < waiting) yield* framed.receive
          else if (way === "send") yield* framed.send(text)
          else if (way === "sendAll") yield* framed.sendAll([text, text])
          else if (way === "sink") yield* Stream.run(Stream.make(text), framed.sink)
          else if (way === "write") yield* connection.write(`${text}\n`)
          else if (way === "writeAll") yield* connection.writeAll([text, "\n"])
          else if (way === "refused") yield* Effect.flip(framed.send(`${text}\n`))
          else if (way === "yield") yield* Effect.yieldNow()
          if (["send", "write", "writeAll", "sink"].includes(way)) expected += `${text}\n`
          if (way === "sendAll") expected += `${text}\n${text}\n`
        }
        yield* end === "close" ? Effect.forkScoped(connection.close) : connection.shutdown
        expect(yield* Fiber.join(reading)).toBe(expected)
      }).pipe(Effect.scoped, Effect.provide(MemoryNetwork.layer)),
    { fastCheck: { numRuns: 200 } }
  )

  onMemory(
    "a failure of the frames is final, carries the address, and leaves the connection",
    () =>
      Effect.gen(function* () {
        const { framed, raw } = yield* pair
        yield* raw.write(`fine\n${"x".repeat(65)}\nfine\n`)
        expect(yield* framed.receive).toEqual(Option.some("fine"))
        const error = yield* Effect.flip(framed.receive)
        expect(error).toMatchObject({
          _tag: "FrameTooLarge",
          limit: 64,
          offset: 5,
          address: framed.connection.remoteAddress
        })
        expect(yield* Effect.flip(framed.receive)).toMatchObject({ _tag: "FrameTooLarge" })
        yield* framed.send("bye")
        expect(new TextDecoder().decode(yield* raw.readUntil("\n"))).toBe("bye\n")
      })
  )

  onMemory("refusing to encode writes nothing, of a batch too", () =>
    Effect.gen(function* () {
      const { framed, raw } = yield* pair
      expect(yield* Effect.flip(framed.sendAll(["one", "x".repeat(65)]))).toMatchObject({ _tag: "FrameTooLarge" })
      yield* framed.send("two")
      yield* framed.connection.shutdown
      expect(new TextDecoder().decode(yield* raw.readExactly(4))).toBe("two\n")
      expect(yield* raw.read).toEqual(Option.none())
    }))

  onMemory("counts the frames that a skipping codec dropped", () =>
    Effect.gen(function* () {
      const { framed: { connection }, raw } = yield* pair
      const framed = Framed.make(
        connection,
        Framing.lines({ maxFrameLength: 4, onTooLarge: "skip" }).pipe(Framing.text())
      )
      yield* raw.write("one\nmuch too long\ntoo long\ntwo\n")
      expect(yield* framed.receive).toEqual(Option.some("one"))
      expect(yield* framed.receive).toEqual(Option.some("two"))
      expect(yield* framed.skipped).toBe(2)
    }))

  onMemory("streams and sinks messages", () =>
    Effect.gen(function* () {
      const { framed, raw } = yield* pair
      const other = Framed.make(raw, lines)
      const sent = Array.from({ length: 1000 }, (_, i) => `message ${i}`)
      yield* Effect.fork(Effect.zipRight(Stream.run(Stream.fromIterable(sent), other.sink), raw.shutdown))
      expect(Chunk.toReadonlyArray(yield* Stream.runCollect(framed.messages))).toEqual(sent)
    }))

  onMemory("swaps the codec behind the message that says so", () =>
    Effect.gen(function* () {
      const { framed, raw } = yield* pair
      yield* raw.write(Uint8Array.from([...new TextEncoder().encode("binary\n"), 0, 0, 0, 2, 10, 13, 0, 0, 0, 1, 7]))
      expect(yield* framed.receive).toEqual(Option.some("binary"))
      const binary = yield* framed.swap(Framing.lengthPrefixed())
      expect(yield* binary.receive).toEqual(Option.some(Uint8Array.of(10, 13)))
      expect(yield* binary.receive).toEqual(Option.some(Uint8Array.of(7)))
    }))

  onMemory("unwrap pushes the rest back", () =>
    Effect.gen(function* () {
      const { framed, raw } = yield* pair
      yield* raw.write("header\nraw bytes")
      yield* framed.receive
      const connection = yield* framed.unwrap
      expect(new TextDecoder().decode(yield* connection.readExactly(9))).toBe("raw bytes")
    }))

  onMemory("concurrent requests are pipelined, each with its own answer", () =>
    Effect.gen(function* () {
      const { client } = yield* server({ handler: () => (line) => `re ${line}` })
      const asked = Array.from({ length: 200 }, (_, i) => String(i))
      const answers = yield* Effect.forEach(asked, client.request, { concurrency: "unbounded" })
      expect(answers).toEqual(asked.map((line) => `re ${line}`))
    }))

  onMemory("the answer to an interrupted request is nobody else's", () =>
    Effect.gen(function* () {
      const gate = yield* Deferred.make<void>()
      const { client } = yield* server({
        handler: () => (line) => line === "slow" ? Effect.as(Deferred.await(gate), "slow answer") : `re ${line}`
      })
      const slow = yield* Effect.fork(client.request("slow"))
      yield* Effect.yieldNow()
      const next = yield* Effect.fork(client.request("next"))
      yield* Effect.yieldNow()
      yield* Fiber.interrupt(slow)
      yield* Deferred.succeed(gate, undefined)
      expect(yield* Fiber.join(next)).toBe("re next")
      expect(yield* client.request("third")).toBe("re third")
    }))

  it.effect.prop(
    "requests have their own answers, whoever is interrupted and however few steps a fiber is allowed",
    [
      fc.integer({ min: 12, max: 100 }),
      fc.array(fc.record({ who: fc.nat(7), after: fc.nat(4) }), { maxLength: 8 })
    ],
    ([limit, interruptions]) =>
      Effect.gen(function* () {
        const { client } = yield* server({ handler: () => (line) => Effect.as(Effect.yieldNow(), `re ${line}`) })
        const requests = yield* Effect.forEach(Array.from({ length: 8 }, (_, i) => `${i}`), (message) =>
          Effect.fork(Effect.withMaxOpsBeforeYield(client.request(message), limit)))
        for (const { after, who } of interruptions) {
          yield* Effect.repeatN(Effect.yieldNow(), after)
          yield* Fiber.interruptFork(requests[who]!)
        }
        for (const [i, exit] of (yield* Effect.forEach(requests, Fiber.await)).entries()) {
          if (!Exit.isInterrupted(exit)) {
            expect(exit).toEqual(Exit.succeed(`re ${i}`))
          }
        }
        expect(yield* client.request("last")).toBe("re last")
      }).pipe(Effect.scoped, Effect.provide(MemoryNetwork.layer)),
    { fastCheck: { numRuns: 200 } }
  )

  onMemory("a request that nobody answers fails with UnexpectedEnd", () =>
    Effect.gen(function* () {
      const { client } = yield* server({ handler: (session) => () => session.connection.close })
      expect(yield* Effect.flip(client.request("hello"))).toMatchObject({ _tag: "UnexpectedEnd" })
    }))

  onMemory("peek and detect take nothing", () =>
    Effect.gen(function* () {
      const { framed: { connection }, raw } = yield* pair
      const protocols = [
        { protocol: "http", test: (start: Uint8Array) => startsWith("GET ", start) },
        { protocol: "ssh", test: (start: Uint8Array) => startsWith("SSH-2.0", start) }
      ]
      const detecting = yield* Effect.fork(Framed.detect(connection, protocols))
      for (const part of ["SS", "H-", "2.0-x"]) yield* raw.write(part)
      expect(yield* Fiber.join(detecting)).toEqual(Option.some("ssh"))
      expect(new TextDecoder().decode(yield* Framed.peek(connection, 4))).toBe("SSH-")
      yield* raw.shutdown
      expect(new TextDecoder().decode(yield* Framed.peek(connection, 100))).toBe("SSH-2.0-x")
      expect(new TextDecoder().decode(yield* connection.readExactly(9))).toBe("SSH-2.0-x")
    }))

  onMemory("detect gives up when nothing fits", () =>
    Effect.gen(function* () {
      const { framed: { connection }, raw } = yield* pair
      yield* raw.write("POST")
      const protocols = [{ protocol: "http", test: (start: Uint8Array) => startsWith("GET ", start) }]
      expect(yield* Framed.detect(connection, protocols)).toEqual(Option.none())
      for (const bytes of [Number.NaN, 0, 1.5]) {
        const exit = yield* Effect.exit(Framed.detect(connection, protocols, { bytes }))
        expect(exit).toMatchObject({ cause: { defect: { _tag: "InvalidOption", option: "bytes" } } })
      }
    }))
})
