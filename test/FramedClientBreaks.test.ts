/**
 * What a client says and hears when its connection breaks or ends: every call settles once, with an answer or with an error that is true.
 */
import { describe, expect, it } from "@effect/vitest"
import { Chunk, Effect, Exit, Fiber, Scope, Stream } from "effect"
import { type Connection, Framed, FramedClient, Framing, Net, NetError, Network } from "effect-netkit"
import { MemoryNetwork } from "effect-netkit/memory"
import fc from "fast-check"
import { address, after, client, follow, lines, onMemory, Peer, turn } from "./support/framedClient.ts"

describe("when the connection breaks", () => {
  for (const whileDisconnected of ["fail", "wait"] as const) {
    onMemory(
      `a request that was sent fails, and is not sent again: ${whileDisconnected}`,
      () =>
        Effect.gen(function* () {
          const peer = new Peer(() => undefined)
          yield* peer.up
          const subject = yield* client({ whileDisconnected })
          const asking = yield* Effect.fork(Effect.flip(subject.request("pay")))
          yield* turn
          yield* peer.cut
          const error = yield* Fiber.join(asking)
          expect(error).toMatchObject({ _tag: "Disconnected", sent: true, cause: { _tag: "ConnectionReset" } })
          expect(NetError.isTransient(error)).toBe(false)
          yield* after("1 second")
          expect(peer.received).toEqual(["pay"])
        })
    )
  }

  onMemory("an idempotent one is sent again, where calls wait", () =>
    Effect.gen(function* () {
      let answers = 0
      const peer = new Peer((line) => answers++ === 0 ? undefined : `re ${line}`)
      yield* peer.up
      const subject = yield* client({ whileDisconnected: "wait" })
      const asking = yield* Effect.fork(subject.request("look up", { idempotent: true }))
      yield* turn
      yield* peer.cut
      yield* after("1 second")
      expect(yield* Fiber.join(asking)).toBe("re look up")
      expect(peer.received).toEqual(["look up", "look up"])
      const hasty = yield* client()
      answers = 0
      const failing = yield* Effect.fork(Effect.flip(hasty.request("x", { idempotent: true })))
      yield* turn
      yield* peer.cut
      expect(yield* Fiber.join(failing)).toMatchObject({ _tag: "Disconnected", sent: true })
    }))

  onMemory("what had not been written goes out with the next, before later calls", () =>
    Effect.gen(function* () {
      const listener = yield* Net.listen(address)
      const subject = yield* client({
        whileDisconnected: "wait",
        codec: Framing.lines({ maxFrameLength: 1e6 }).pipe(Framing.text())
      })
      const stalled = yield* listener.accept
      const large = "x".repeat(400_000)
      const calls = [yield* Effect.fork(Effect.exit(subject.send(`1${large}`)))]
      for (const name of ["2", "3"]) calls.push(yield* Effect.fork(Effect.exit(subject.send(name))))
      yield* turn
      yield* stalled.reset
      yield* turn
      calls.push(yield* Effect.fork(Effect.exit(subject.send("4"))))
      yield* Effect.fork(after("1 second"))
      const next = Framed.make(yield* listener.accept, lines)
      const got = yield* Stream.runCollect(Stream.take(next.messages, 3))
      expect(Chunk.toReadonlyArray(got)).toEqual(["2", "3", "4"])
      const [first, ...others] = yield* Effect.forEach(calls, Fiber.join)
      expect(first).toMatchObject({ cause: { error: { _tag: "Disconnected", sent: true } } })
      expect(others).toEqual([Exit.void, Exit.void, Exit.void])
    }))

  onMemory(
    "the next connection is waited for in peace while a broken one is still being flushed",
    () =>
      Effect.gen(function* () {
        const listener = yield* Net.listen(address)
        const codec = Framing.lines({ maxFrameLength: 1e6 }).pipe(Framing.text())
        const subject = yield* client({ codec, readTimeout: "1 second", closeTimeout: "1 minute" })
        const stalled = yield* listener.accept
        yield* Effect.fork(Effect.ignore(subject.send("x".repeat(400_000))))
        yield* turn
        yield* after("1 second")
        expect((yield* subject.state.get)._tag).toBe("Connected")
        const waiting = yield* Effect.fork(subject.connection)
        yield* turn
        yield* stalled.reset
        yield* turn
        yield* after("1 second")
        const next = yield* listener.accept
        expect((yield* Fiber.join(waiting)).localAddress).toEqual(next.remoteAddress)
      })
  )

  onMemory("bytes that are no frame are a reason, too", () =>
    Effect.gen(function* () {
      const peer = new Peer(() => "x".repeat(100))
      yield* peer.up
      const subject = yield* client()
      yield* subject.connection
      yield* peer.sessions[0]!.connection.write("x".repeat(100))
      const error = yield* Effect.flip(subject.request("hello"))
      expect(error).toMatchObject({ _tag: "Disconnected", cause: { _tag: "FrameTooLarge" } })
    }))

  onMemory("silence within readTimeout is one", () =>
    Effect.gen(function* () {
      const peer = new Peer(() => undefined)
      yield* peer.up
      const subject = yield* client({ readTimeout: "10 seconds" })
      const { seen } = yield* follow(subject)
      const asking = yield* Effect.fork(Effect.flip(subject.request("hello")))
      yield* after("10 seconds")
      expect(yield* Fiber.join(asking)).toMatchObject({ sent: true, cause: { _tag: "ReadTimeout" } })
      expect(seen.at(-1)).toBe("Waiting 11000 ReadTimeout")
    }))

  onMemory("a message that cannot be encoded is refused, and breaks nothing", () =>
    Effect.gen(function* () {
      const peer = new Peer()
      yield* peer.up
      const subject = yield* client()
      expect(yield* Effect.flip(subject.request("x".repeat(100)))).toMatchObject({ _tag: "FrameTooLarge" })
      expect(yield* subject.request("y")).toBe("re y")
    }))

  onMemory("by closing the present connection, there is another", () =>
    Effect.gen(function* () {
      const peer = new Peer()
      yield* peer.up
      const subject = yield* client()
      const first = yield* subject.connection
      yield* first.close
      yield* turn
      const next = yield* Effect.fork(subject.connection)
      yield* after("1 second")
      expect(yield* Fiber.join(next)).not.toBe(first)
    }))
})

describe("closing the scope", () => {
  onMemory("flushes what was sent, fails what is under way, ends the streams", () =>
    Effect.gen(function* () {
      const peer = new Peer(() => undefined)
      yield* peer.up
      const scope = yield* Scope.make()
      const subject = yield* Scope.extend(client(), scope)
      const { fiber, seen } = yield* follow(subject)
      const messages = yield* Effect.fork(Stream.runCollect(subject.messages))
      const asking = yield* Effect.fork(Effect.flip(subject.request("question")))
      yield* turn
      yield* subject.send("last words")
      yield* Scope.close(scope, Exit.void)
      yield* turn
      expect(peer.received).toEqual(["question", "last words"])
      expect(yield* Fiber.join(asking)).toMatchObject({ sent: true, cause: { _tag: "ConnectionClosed" } })
      expect(Chunk.size(yield* Fiber.join(messages))).toBe(0)
      yield* Fiber.join(fiber)
      expect(seen.at(-1)).toBe("Closed")
      expect(yield* Effect.flip(subject.request("?"))).toMatchObject({
        sent: false,
        cause: { _tag: "ConnectionClosed" }
      })
      expect(yield* Effect.flip(subject.connection)).toMatchObject({ _tag: "Disconnected" })
    }))

  onMemory("fails what waits", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const subject = yield* Scope.extend(client({ whileDisconnected: "wait" }), scope)
      const waiting = yield* Effect.fork(Effect.flip(subject.request("?")))
      yield* turn
      yield* Scope.close(scope, Exit.void)
      expect(yield* Fiber.join(waiting)).toMatchObject({ sent: false, cause: { _tag: "ConnectionClosed" } })
    }))

  onMemory("at once after the start leaves nobody waiting", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const subject = yield* Scope.extend(client({ whileDisconnected: "wait" }), scope)
      yield* Scope.close(scope, Exit.void)
      expect(yield* Effect.flip(subject.request("?"))).toMatchObject({ sent: false })
    }))
})

describe("under random cuts", () => {
  type Deed = "answer" | "cut before" | "cut after" | "half an answer"

  /** A server that does what it is told at each line, and all that is asked once it has nothing to be told. */
  const server = (deeds: Array<Deed>, processed: Array<string>) =>
    Effect.gen(function* () {
      const listener = yield* Net.listen({ port: 0 })
      const serve = (connection: Connection.Connection) => {
        const session = Framed.make(connection, lines)
        return Stream.runForEach(session.messages, (line) => {
          const deed = deeds.shift() ?? "answer"
          if (deed === "cut before") return Effect.fail("cut")
          processed.push(line)
          if (deed === "answer") return session.send(`${line} answered`)
          if (deed === "half an answer") return Effect.zipRight(connection.write(`${line} ans`), Effect.fail("cut"))
          return Effect.zipRight(session.send(`${line} answered`), Effect.fail("cut"))
        }).pipe(Effect.catchAll(() => Effect.ignore(connection.reset)))
      }
      yield* Effect.forkScoped(
        Stream.runForEach(listener.connections, (connection) => Effect.fork(serve(connection)))
      )
      return listener.address
    })

  const deed = fc.oneof(
    { arbitrary: fc.constant<Deed>("answer"), weight: 6 },
    { arbitrary: fc.constantFrom<Deed>("cut before", "cut after", "half an answer"), weight: 1 }
  )
  const call = fc.record({ idempotent: fc.boolean(), interrupted: fc.integer({ min: 0, max: 9 }).map((n) => n === 0) })
  const rule = fc.constantFrom<FramedClient.WhileDisconnected>("fail", "wait", { buffer: 3 })

  it.effect(
    "every call settles once, with its own answer or with an error that is true",
    () =>
      Effect.promise(() =>
        fc.assert(
          fc.asyncProperty(
            fc.array(deed, { maxLength: 80 }),
            fc.array(call, { minLength: 1, maxLength: 60 }),
            rule,
            fc.boolean(),
            fc.boolean(),
            (deeds, calls, whileDisconnected, byId, roomy) =>
              Effect.gen(function* () {
                const processed: Array<string> = []
                const settled = calls.map(() => 0)
                const subject = yield* FramedClient.make({
                  connect: yield* server([...deeds], processed),
                  codec: lines,
                  retry: { baseDelay: 0 },
                  whileDisconnected,
                  // Where there is room for no more than a byte, most calls wait to be written.
                  ...roomy ? {} : { writeBuffer: 1 },
                  correlation: byId ? { request: (line) => line, answer: (line) => line.split(" ")[0] } : undefined
                })
                const fibers = yield* Effect.forEach(calls, ({ idempotent, interrupted }, i) =>
                  Effect.gen(function* () {
                    const asking = yield* Effect.fork(
                      Effect.onExit(subject.request(`${i}`, { idempotent }), () => Effect.sync(() => settled[i]!++))
                    )
                    if (i % 7 === 0) yield* turn
                    if (interrupted) yield* Fiber.interruptFork(asking)
                    return asking
                  }))
                const exits = yield* Effect.forEach(fibers, Fiber.await)
                // Who is interrupted before the first step has not even asked.
                expect(settled).toEqual(calls.map(({ interrupted }, i) => interrupted ? Math.min(1, settled[i]!) : 1))
                for (const [i, exit] of exits.entries()) {
                  const times = processed.filter((line) => line === `${i}`).length
                  if (!calls[i]!.idempotent) expect(times).toBeLessThanOrEqual(1)
                  if (Exit.isSuccess(exit)) {
                    expect(exit.value).toBe(`${i} answered`)
                    expect(times).toBeGreaterThanOrEqual(1)
                  } else if (exit.cause._tag === "Fail") {
                    if (exit.cause.error._tag !== "Disconnected") return expect.fail(exit.cause.error.message)
                    if (!exit.cause.error.sent) expect(times).toBe(0)
                    if (whileDisconnected === "wait") expect(exit.cause.error.sent && !calls[i]!.idempotent).toBe(true)
                  } else expect(calls[i]!.interrupted).toBe(true)
                }
                // It lives on, and no answer to an earlier call is left over.
                while (true) {
                  const last = yield* Effect.exit(Effect.zipRight(subject.connection, subject.request("last")))
                  if (Exit.isSuccess(last)) return expect(last.value).toBe("last answered")
                  yield* turn
                }
              }).pipe(
                Effect.asVoid,
                Effect.scoped,
                Effect.provide(Network.layer(MemoryNetwork.make(roomy ? {} : { bufferSize: 1 }))),
                Effect.runPromise
              )
          ),
          { numRuns: 100, timeout: 5000 }
        )
      ),
    60_000
  )
})
