import { describe, expect, it } from "@effect/vitest"
import { Chunk, Deferred, Effect, Either, Exit, Fiber, Option, Schema, type Scope, Stream } from "effect"
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

const startsWith = (text: string, start: Uint8Array): boolean | "more" => {
  const seen = new TextDecoder().decode(start)
  return seen.startsWith(text) ? true : text.startsWith(seen) ? "more" : false
}

describe("FramedServer", () => {
  onMemory("handles the messages of a connection in order, whatever a reply is", () =>
    Effect.gen(function* () {
      const { client } = yield* server({
        handler: () => (line) => {
          if (line === "effect") return Effect.as(Effect.yieldNow(), "from an effect")
          if (line === "stream") return Stream.make("first", "second")
          if (line === "silence") return
          if (line === "silent effect") return Effect.void
          return `value ${line}`
        }
      })
      yield* client.sendAll(["1", "effect", "2", "silence", "stream", "silent effect", "3"])
      const replies = yield* Stream.runCollect(Stream.take(client.messages, 6))
      expect(Chunk.toReadonlyArray(replies)).toEqual([
        "value 1",
        "from an effect",
        "value 2",
        "first",
        "second",
        "value 3"
      ])
    }))

  onMemory(
    "ends where a handler says so: what was said before is sent, what comes after is not handled",
    () =>
      Effect.gen(function* () {
        const { client, running } = yield* server({
          handler: (session) => (line) =>
            line === "quit" ? Effect.zipRight(session.send("goodbye"), FramedServer.end) : `value ${line}`
        })
        yield* client.sendAll(["1", "quit", "2"])
        const replies = yield* Stream.runCollect(client.messages)
        expect(Chunk.toReadonlyArray(replies)).toEqual(["value 1", "goodbye"])
        yield* running.awaitConnections("==", 0)
        expect((yield* running.status).ended).toMatchObject({ completed: 1 })
      })
  )

  onMemory(
    "a reply does not wait for the handler of a later message, nor is it overtaken by what that one writes",
    () =>
      Effect.gen(function* () {
        const gate = yield* Deferred.make<void>()
        const { client } = yield* server({
          handler: (session) => (line) => {
            if (line === "wait") return Effect.as(Deferred.await(gate), "waited")
            return line === "raw" ? Effect.ignore(session.connection.write("by hand\n")) : Effect.sync(() => line)
          }
        })
        yield* client.sendAll(["1", "2", "raw", "wait", "3"])
        const replies = yield* Stream.runCollect(Stream.take(client.messages, 3))
        expect(Chunk.toReadonlyArray(replies)).toEqual(["1", "2", "by hand"])
        yield* Deferred.succeed(gate, undefined)
        expect(yield* client.receive).toEqual(Option.some("waited"))
        expect(yield* client.receive).toEqual(Option.some("3"))
      })
  )

  for (
    const [kind, handler] of [
      ["values", () => (line: string) => line],
      ["effects", () => (line: string) => Effect.sync(() => line)]
    ] as const
  ) {
    onMemory(`sends the replies of one batch as one: ${kind}`, () =>
      Effect.gen(function* () {
        const { client } = yield* server({ handler })
        yield* client.sendAll(Array.from({ length: 100 }, (_, i) => String(i)))
        const first = Option.getOrThrow(yield* client.connection.read)
        expect(new TextDecoder().decode(first).split("\n").length).toBe(101)
      }))
  }

  onMemory(
    "keeps state per connection in the handler's closure, also made by an effect",
    () =>
      Effect.gen(function* () {
        const { address } = yield* server({
          handler: () =>
            Effect.sync(() => {
              let count = 0
              return () => String(++count)
            })
        })
        const counts = yield* Effect.forEach([1, 2], () =>
          Effect.scoped(Effect.gen(function* () {
            const client = yield* Framed.connect(address, lines)
            yield* client.request("x")
            return yield* client.request("x")
          })))
        expect(counts).toEqual(["2", "2"])
      })
  )

  for (
    const [name, onFrameError, replies, end] of [
      ["close", undefined, ["fine"], "none"],
      ["farewell", () => "too long", ["fine", "too long"], "none"],
      ["reset", "reset", [], "ConnectionReset"]
    ] as const
  ) {
    onMemory(`a framing error ends the connection as chosen: ${name}`, () =>
      Effect.gen(function* () {
        const { client } = yield* server({ handler: () => (line) => line, onFrameError })
        yield* client.connection.write(`fine\n${"x".repeat(100)}\n`)
        const got: Array<string> = []
        const ended = yield* Stream.runForEach(client.messages, (line) => Effect.sync(() => got.push(line))).pipe(
          Effect.match({ onFailure: (error) => error._tag, onSuccess: () => "none" })
        )
        expect(ended).toBe(end)
        expect(got.slice(0, replies.length)).toEqual(replies)
      }))
  }

  const Reply = Schema.Union(
    Schema.Struct({ id: Schema.Int, result: Schema.Number }),
    Schema.Struct({ id: Schema.Int, error: Schema.String })
  )
  const numbers = Framing.lines().pipe(Framing.json, Framing.schema(Schema.Int, Reply), Framing.either)

  onMemory("replies of several kinds may come from a handler that names no message", () =>
    Effect.gen(function* () {
      const { address } = yield* Server.serve(FramedServer.make({
        listen: { port: 0 },
        codec: numbers,
        onFrameError: () => ({ id: 0, error: "no line" }),
        handler: (_) =>
          Either.match({
            onLeft: ({ _tag }) => Effect.succeed({ id: 0, error: _tag }),
            onRight: (n) => Effect.succeed({ id: n, result: 1 })
          })
      }))
      const client = yield* Framed.connect(address, Framing.lines().pipe(Framing.json))
      yield* client.sendAll([7, "seven"])
      yield* client.connection.shutdown
      expect(Chunk.toArray(yield* Stream.runCollect(client.messages))).toEqual([
        { id: 7, result: 1 },
        { id: 0, error: "FrameMalformed" }
      ])
    }))

  it("a reply is what the codec encodes, and nothing that a handler makes of it", () => {
    const listen = { port: 0 }
    // @ts-expect-error a length is no line
    FramedServer.make({ listen, codec: lines, handler: () => (line) => line.length })
    // @ts-expect-error nor is it out of an effect
    FramedServer.make({ listen, codec: lines, handler: () => (line) => Effect.succeed(line.length) })
    // @ts-expect-error nor where setting up takes an effect
    FramedServer.make({ listen, codec: lines, handler: () => Effect.succeed((line: string) => line.length) })
    // @ts-expect-error nor after bytes that are no frames
    FramedServer.make({ listen, codec: lines, onFrameError: (error) => error.offset, handler: () => (line) => line })
    // @ts-expect-error one kind is wrong
    FramedServer.handler({ codec: numbers, handler: () => () => Effect.succeed({ id: 1, reslt: 1 }) })
  })

  it.effect.prop(
    "answers in order, however the messages are cut and whatever has to be waited for",
    [fc.array(fc.constantFrom("value", "exit", "effect", "nothing"), { maxLength: 40 }), fc.array(fc.nat(60))],
    ([kinds, cuts]) =>
      Effect.gen(function* () {
        const { client } = yield* server({
          handler: () => (line) => {
            if (line.endsWith("value")) return line
            if (line.endsWith("exit")) return Exit.succeed(line)
            return line.endsWith("effect") ? Effect.as(Effect.yieldNow(), line) : undefined
          }
        })
        const sent = kinds.map((kind, i) => `${i} ${kind}`)
        const answers = yield* Effect.fork(Stream.runCollect(client.messages))
        let rest = sent.map((line) => `${line}\n`).join("")
        for (const cut of cuts) {
          yield* client.connection.write(rest.slice(0, cut))
          yield* Effect.yieldNow()
          rest = rest.slice(cut)
        }
        yield* client.connection.write(rest)
        yield* client.connection.shutdown
        expect(Chunk.toReadonlyArray(yield* Fiber.join(answers))).toEqual(
          sent.filter((line) => !line.endsWith("nothing"))
        )
      }).pipe(Effect.scoped, Effect.provide(MemoryNetwork.layer)),
    { fastCheck: { numRuns: 100 } }
  )

  onMemory("waits while the peer does not read its replies, and loses none of them", () =>
    Effect.gen(function* () {
      const { client, running } = yield* server({ handler: () => (line) => line })
      const sent = Array.from({ length: 50_000 }, (_, i) => `${i} ${"x".repeat(50)}`)
      const sending = yield* Effect.fork(Effect.forEach(Chunk.chunksOf(Chunk.fromIterable(sent), 500), client.sendAll))
      yield* Effect.yieldNow()
      const answers = yield* Stream.runCollect(Stream.take(client.messages, sent.length))
      expect(Chunk.toReadonlyArray(answers)).toEqual(sent)
      yield* Fiber.join(sending)
      expect((yield* running.status).active).toBe(1)
    }))

  onMemory(
    "a handler that was interrupted takes nothing that comes later, though it has not ended yet",
    () =>
      Effect.gen(function* () {
        const { framed: { connection }, raw } = yield* pair
        const gate = yield* Deferred.make<void>()
        const echo = FramedServer.handler({ codec: lines, handler: () => (line) => line })(connection)
        const serving = yield* Effect.fork(Effect.onInterrupt(echo, () => Deferred.await(gate)))
        yield* raw.write("one\n")
        expect(yield* raw.readExactly(4)).toEqual(new TextEncoder().encode("one\n"))
        const interrupting = yield* Effect.fork(Fiber.interrupt(serving))
        yield* Effect.yieldNow()
        yield* raw.write("two\n")
        const stats = yield* Effect.repeat(connection.stats, { until: ({ bytesRead }) => bytesRead === 8 })
        expect(stats.unread).toBe(4)
        yield* Deferred.succeed(gate, undefined)
        yield* Fiber.join(interrupting)
      })
  )

  onMemory("what a stream of replies acquires lives as long as the session", () =>
    Effect.gen(function* () {
      let open = 0
      const resource = Effect.acquireRelease(Effect.sync(() => String(++open)), () => Effect.sync(() => open--))
      const running = yield* Server.serve(FramedServer.make({
        listen: { port: 0 },
        codec: lines,
        handler: () => (_line) => Stream.fromEffect(resource)
      }))
      const client = yield* Framed.connect(running.address, lines)
      expect([yield* client.request("a"), yield* client.request("b")]).toEqual(["1", "2"])
      expect(open).toBe(2)
      yield* client.connection.close
      yield* running.awaitConnections("==", 0)
      expect(open).toBe(0)
    }))

  onMemory("a handler may close the connection while it handles a message", () =>
    Effect.gen(function* () {
      const { client, running } = yield* server({
        handler: (session) => () => void Effect.runFork(session.connection.close)
      })
      yield* client.send("hello")
      expect(yield* client.receive).toEqual(Option.none())
      yield* running.awaitConnections("==", 0)
    }))

  onMemory("a handler that throws ends its own connection alone", () =>
    Effect.gen(function* () {
      const { address, client } = yield* server({
        handler: () => (line) => {
          if (line === "throw") throw new Error("boom")
          return line
        }
      })
      const other = yield* Framed.connect(address, lines)
      yield* client.send("throw")
      expect(yield* client.receive).toEqual(Option.none())
      expect(yield* other.request("still there")).toBe("still there")
    }))
})
