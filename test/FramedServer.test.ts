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
