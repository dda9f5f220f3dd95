/**
 * Messages that answer nothing, and answers that belong to requests by their order or an identifier.
 */
import { describe, expect } from "@effect/vitest"
import { Chunk, Deferred, Effect, Exit, Fiber, Option, Scope, Stream } from "effect"
import { Framed, Framing, Net } from "effect-netkit"
import { address, after, client, lines, onMemory, Peer, turn } from "./support/framedClient.ts"

describe("messages", () => {
  onMemory("come across connections; a part of one is dropped with its connection", () =>
    Effect.gen(function* () {
      const peer = new Peer()
      yield* peer.up
      const subject = yield* client()
      const taking = yield* Effect.fork(Stream.runCollect(Stream.take(subject.messages, 3)))
      yield* subject.connection
      yield* peer.sessions[0]!.connection.write("one\ntwo\nthr")
      yield* turn
      yield* peer.cut
      yield* after("1 second")
      yield* peer.sessions[1]!.send("four")
      expect(Chunk.toReadonlyArray(yield* Fiber.join(taking))).toEqual(["one", "two", "four"])
    }))

  onMemory("that nobody takes hold up no answers", () =>
    Effect.gen(function* () {
      const peer = new Peer((line) => line === "more" ? undefined : line)
      yield* peer.up
      const subject = yield* client()
      yield* subject.connection
      yield* peer.sessions[0]!.sendAll(Array.from({ length: 5000 }, (_, i) => `note ${i}`))
      yield* turn
      expect(yield* subject.request("still there?")).toBe("still there?")
      const kept = yield* Stream.runCollect(Stream.take(subject.messages, 1024))
      expect(Chunk.unsafeLast(kept)).toBe("note 1023")
    }))

  onMemory("of a slow taker slow the peer and are all there", () =>
    Effect.gen(function* () {
      const peer = new Peer()
      yield* peer.up
      const subject = yield* client()
      const gate = yield* Deferred.make<void>()
      const taking = yield* Effect.fork(
        Stream.runCount(Stream.take(Stream.tap(subject.messages, () => Deferred.await(gate)), 100_000))
      )
      yield* subject.connection
      const sending = yield* Effect.fork(
        Effect.repeatN(peer.sessions[0]!.sendAll(Array.from({ length: 1000 }, (_, i) => `a longer note ${i}`)), 99)
      )
      yield* Effect.repeatN(turn, 20)
      expect((yield* Fiber.poll(sending))._tag).toBe("None")
      yield* Deferred.succeed(gate, undefined)
      expect(yield* Fiber.join(taking)).toBe(100_000)
    }))
})

describe("requests by identifier", () => {
  const number = (line: string) => /^\d+/.exec(line)?.[0]
  const correlation = { request: number, answer: number }

  onMemory(
    "are answered in any order, beside other messages, by a client and by a plain connection",
    () =>
      Effect.gen(function* () {
        const peer = new Peer(() => undefined)
        yield* peer.up
        const subject = yield* client({ correlation })
        yield* subject.connection
        const plain = yield* Framed.requests(yield* Framed.connect(address, lines), { correlation })
        for (const [i, { messages, request }] of [subject, plain].entries()) {
          yield* turn
          const asking: Array<Fiber.Fiber<string, unknown>> = yield* Effect.forEach(["1 a", "2 b", "3 c"], (line) =>
            Effect.fork<string, unknown, never>(request(line)))
          yield* turn
          yield* peer.sessions[i]!.sendAll(["notice", "3 C", "9 stray", "1 A", "2 B"])
          expect(yield* Effect.forEach(asking, Fiber.join)).toEqual(["1 A", "2 B", "3 C"])
          const others = yield* Stream.runCollect(Stream.take<string, unknown, never>(messages, 2))
          expect(Chunk.toReadonlyArray(others)).toEqual(["notice", "9 stray"])
        }
      })
  )

  onMemory("a late answer to an interrupted one is dropped, and its identifier is free", () =>
    Effect.gen(function* () {
      const peer = new Peer(() => undefined)
      yield* peer.up
      const subject = yield* client({ correlation })
      const asking = yield* Effect.fork(subject.request("1 a"))
      yield* turn
      expect(yield* Effect.flip(subject.request("1 again"))).toMatchObject({
        _tag: "FrameMalformed",
        reason: "a request 1 is under way"
      })
      expect(yield* Effect.flip(subject.request("none"))).toMatchObject({ _tag: "FrameMalformed" })
      yield* Fiber.interrupt(asking)
      yield* peer.sessions[0]!.sendAll(["1 late", "notice"])
      expect(Chunk.toReadonlyArray(yield* Stream.runCollect(Stream.take(subject.messages, 1)))).toEqual(["notice"])
      const again = yield* Effect.fork(subject.request("1 b"))
      yield* turn
      yield* peer.sessions[0]!.send("1 B")
      expect(yield* Fiber.join(again)).toBe("1 B")
      expect(peer.received).toEqual(["1 a", "1 b"])
    }))

  onMemory("a correlation that throws is a defect of the call, or of the client", () =>
    Effect.gen(function* () {
      const peer = new Peer((line) => line)
      yield* peer.up
      const boom = new Error("boom")
      const id = (line: string) => {
        if (line === "bad") throw boom
        return line
      }
      const subject = yield* client({ correlation: { request: id, answer: id } })
      yield* subject.connection
      expect(yield* Effect.exit(subject.request("bad"))).toEqual(Exit.die(boom))
      expect(yield* subject.request("good")).toBe("good")
      const under = yield* Effect.fork(Effect.exit(subject.request("way")))
      yield* peer.sessions[0]!.send("bad")
      yield* Fiber.join(under)
      yield* turn
      expect(yield* Effect.exit(subject.request("good"))).toEqual(Exit.die(boom))
    }))
})

describe("Framed.requests", () => {
  onMemory("in order, beside messages that answer none; ends with the stream", () =>
    Effect.gen(function* () {
      const peer = new Peer((line) => line === "?" ? undefined : `re ${line}`)
      yield* peer.up
      const { messages, request } = yield* Framed.requests(yield* Framed.connect(address, lines))
      yield* turn
      yield* peer.sessions[0]!.send("welcome")
      yield* turn
      expect(yield* Effect.forEach(["a", "b", "c"], request, { concurrency: 3 })).toEqual(["re a", "re b", "re c"])
      const unanswered = yield* Effect.fork(Effect.flip(request("?")))
      yield* turn
      yield* peer.sessions[0]!.connection.shutdown
      expect(yield* Fiber.join(unanswered)).toMatchObject({ _tag: "UnexpectedEnd" })
      expect(Chunk.toReadonlyArray(yield* Stream.runCollect(messages))).toEqual(["welcome"])
      // A peer that sends no more still takes what is written.
      expect(yield* Effect.flip(request("a"))).toMatchObject({ _tag: "UnexpectedEnd" })
    }))

  onMemory(
    "a request that waits for its turn to be written when the stream ends fails, too",
    () =>
      Effect.gen(function* () {
        const listener = yield* Net.listen(address)
        const codec = Framing.lines({ maxFrameLength: 1e6 }).pipe(Framing.text())
        const { request } = yield* Framed.requests(yield* Framed.connect(address, codec))
        const peer = yield* listener.accept
        const asking = yield* Effect.forEach(
          ["1", "2"],
          (name) => Effect.fork(Effect.flip(request(name + "x".repeat(400_000))))
        )
        yield* turn
        yield* peer.shutdown
        yield* turn
        yield* Effect.fork(Stream.runDrain(peer.stream))
        for (const fiber of asking) expect(yield* Fiber.join(fiber)).toMatchObject({ _tag: "UnexpectedEnd" })
      })
  )

  onMemory("messages hold up no answers once who took them has gone", () =>
    Effect.gen(function* () {
      const peer = new Peer()
      yield* peer.up
      const { messages, request } = yield* Framed.requests(yield* Framed.connect(address, lines), {
        correlation: { request: (line) => line, answer: (line) => line.startsWith("re ") ? line.slice(3) : undefined }
      })
      const many = Array.from({ length: 9000 }, (_, i) => `notice ${i}`)
      yield* turn
      yield* Effect.fork(peer.sessions[0]!.sendAll(many))
      const first = Stream.tap(Stream.take(messages, 1), () => turn)
      expect(Chunk.toReadonlyArray(yield* Stream.runCollect(first))).toEqual(["notice 0"])
      expect(yield* request("a")).toBe("re a")
      expect(Option.getOrThrow(yield* Stream.runHead(messages))).toMatch(/^notice/)
    }))

  onMemory("fails with the connection, and with its scope", () =>
    Effect.gen(function* () {
      const peer = new Peer(() => undefined)
      yield* peer.up
      const one = yield* Framed.requests(yield* Framed.connect(address, lines))
      const asking = yield* Effect.fork(Effect.flip(one.request("?")))
      yield* turn
      yield* peer.cut
      expect(yield* Fiber.join(asking)).toMatchObject({ _tag: "ConnectionReset" })
      expect(yield* Effect.flip(Stream.runDrain(one.messages))).toMatchObject({ _tag: "ConnectionReset" })
      const scope = yield* Scope.make()
      const two = yield* Scope.extend(Framed.requests(yield* Framed.connect(address, lines)), scope)
      const waiting = yield* Effect.fork(Effect.flip(two.request("?")))
      yield* turn
      yield* Scope.close(scope, Exit.void)
      expect(yield* Fiber.join(waiting)).toMatchObject({ _tag: "ConnectionClosed" })
      yield* Stream.runDrain(two.messages)
    }))
})
