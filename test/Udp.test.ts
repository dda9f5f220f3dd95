import { describe, expect, it } from "@effect/vitest"
import { Effect, Exit, Fiber, FiberId, Schedule, Scheduler, type Scope, Stream, TestClock } from "effect"
import { type DatagramTransport, type NetError, Network, type Transport, Udp, UdpSocket } from "effect-netkit"
import { MemoryNetwork } from "effect-netkit/memory"

const text = ({ bytes }: UdpSocket.Datagram) => new TextDecoder().decode(bytes)

const onMemory = <A, E>(name: string, effect: () => Effect.Effect<A, E, Scope.Scope | Network.Network>) =>
  it.scoped(name, () => Effect.provide(effect(), MemoryNetwork.layer))

/** Lets the network deliver what it has under way, before virtual time goes on. */
const turn = Effect.promise(() => new Promise((resolve) => setTimeout(resolve)))

const tag = <A, E extends NetError.NetError>(exit: Exit.Exit<A, E>) =>
  Exit.isFailure(exit) && exit.cause._tag === "Fail" ? exit.cause.error._tag : "no failure"

const two = Effect.all([Udp.bind({ port: 0 }), Udp.bind({ port: 0 })])

/** Seconds pass one by one, and the network has its turn in each. */
const seconds = (count: number) => Effect.repeatN(Effect.zipRight(TestClock.adjust("1 second"), turn), count - 1)

const queued = (socket: UdpSocket.Socket) => Effect.map(socket.stats, ({ queued }) => queued)

describe("Udp.request", () => {
  onMemory("sends again after 1, 2 and 4 seconds, and gives up after 10", () =>
    Effect.gen(function* () {
      const [a, b] = yield* two
      const asking = yield* Effect.fork(Udp.request(a, b.address, "anybody?"))
      const sent: Array<number> = []
      for (let second = 0; second < 10; second++) {
        yield* turn
        sent.push((yield* a.stats).sent)
        yield* TestClock.adjust("1 second")
      }
      expect(sent).toEqual([1, 2, 2, 3, 3, 3, 3, 4, 4, 4])
      const error = yield* Effect.flip(Fiber.join(asking))
      expect(error).toMatchObject({
        _tag: "ReadTimeout",
        message: `receive from ${b.address}: nothing received within 10s`
      })
      yield* seconds(10)
      expect((yield* a.stats).sent).toBe(4)
    }))

  onMemory("waits on for the answer when the schedule has ended", () =>
    Effect.gen(function* () {
      const [a, b] = yield* two
      const asking = yield* Effect.fork(
        Udp.request(a, b.address, "?", { schedule: Schedule.recurs(2), timeout: "1 minute" })
      )
      yield* seconds(50)
      expect((yield* a.stats).sent).toBe(3)
      yield* b.send("at last", a.address)
      expect(text(yield* Fiber.join(asking))).toBe("at last")
    }))

  onMemory("takes its own answer; what comes with it stays", () =>
    Effect.gen(function* () {
      const [a, b] = yield* two
      const stranger = yield* Udp.bind({ port: 0 })
      const asking = yield* Effect.fork(Udp.request(a, b.address, "?"))
      yield* turn
      yield* stranger.send("not for you", a.address)
      yield* b.sendMany([["yes", a.address], ["and by the way", a.address]])
      expect(text(yield* Fiber.join(asking))).toBe("yes")
      expect(text(yield* a.receive)).toBe("not for you")
      expect(text(yield* a.receive)).toBe("and by the way")
    }))

  onMemory(
    "drops duplicates that the network makes of what matches, of the last 64 answers",
    () =>
      Effect.gen(function* () {
        const [a, b] = yield* two
        yield* Effect.forkScoped(
          Stream.runForEach(b.datagrams, ({ bytes, from }) => b.sendMany([[bytes, from], [bytes, from], [bytes, from]]))
        )
        const ask = (id: number) =>
          Udp.request(a, b.address, `${id}`, { matches: (datagram) => text(datagram) === `${id}` })
        const ids = Array.from({ length: 100 }, (_, id) => id)
        expect((yield* Effect.forEach(ids, ask)).map(text)).toEqual(ids.map(String))
        yield* turn
        yield* b.sendMany([["99", a.address], ["0", a.address], ["something else", a.address]])
        expect([text(yield* a.receive), text(yield* a.receive)]).toEqual(["0", "something else"])
      })
  )

  onMemory("drops late repetitions of the answer, and nothing else", () =>
    Effect.gen(function* () {
      const [a, b] = yield* two
      const asking = yield* Effect.fork(Udp.request(a, b.address, "?"))
      yield* seconds(3)
      yield* b.send("yes", a.address)
      yield* Fiber.join(asking)
      // Three were sent, so that two more may be answered.
      for (const message of ["yes", "no", "yes", "yes"]) yield* b.send(message, a.address)
      expect(yield* queued(a)).toBe(2)
      expect(text(yield* a.receive)).toBe("no")
      expect(text(yield* a.receive)).toBe("yes")
    }))

  onMemory("drops answers that come after the end, for as long as its timeout", () =>
    Effect.gen(function* () {
      const [a, b] = yield* two
      const matches = (datagram: UdpSocket.Datagram) => text(datagram).startsWith("1:")
      const ask = Udp.request(a, b.address, "1", { matches, timeout: "5 seconds" })
      const asking = yield* Effect.fork(ask)
      yield* seconds(5)
      expect(tag(yield* Fiber.await(asking))).toBe("ReadTimeout")
      for (const message of ["1: late", "2: not asked"]) yield* b.send(message, a.address)
      expect(text(yield* a.receive)).toBe("2: not asked")
      yield* seconds(5)
      yield* b.send("1: forgotten", a.address)
      expect(text(yield* a.receive)).toBe("1: forgotten")
    }))

  onMemory("stops sending when it is interrupted", () =>
    Effect.gen(function* () {
      const [a, b] = yield* two
      const asking = yield* Effect.fork(Udp.request(a, b.address, "?"))
      yield* turn
      yield* Fiber.interrupt(asking)
      yield* seconds(10)
      expect((yield* a.stats).sent).toBe(1)
      yield* b.send("for anyone", a.address)
      expect(text(yield* a.receive)).toBe("for anyone")
    }))

  onMemory("a `matches` that throws is a defect of its request alone", () =>
    Effect.gen(function* () {
      const [a, b] = yield* two
      const defect = new Error("matches")
      const dying = yield* Effect.fork(Udp.request(a, b.address, "?", {
        matches: () => {
          throw defect
        }
      }))
      const asking = yield* Effect.fork(Udp.request(a, b.address, "?"))
      yield* turn
      yield* b.send("yes", a.address)
      expect(text(yield* Fiber.join(asking))).toBe("yes")
      expect(yield* Fiber.await(dying)).toEqual(Exit.die(defect))
      yield* b.send("later", a.address)
      expect(text(yield* a.receive)).toBe("later")
    }))

  onMemory("ends with its socket", () =>
    Effect.gen(function* () {
      const [a, b] = yield* two
      const asking = yield* Effect.fork(Udp.request(a, b.address, "?"))
      yield* turn
      yield* a.close
      expect(tag(yield* Fiber.await(asking))).toBe("ConnectionClosed")
    }))

  onMemory("asks a group, and anyone of it answers", () =>
    Effect.gen(function* () {
      const [a, b] = [yield* Udp.bind("0.0.0.0:0"), yield* Udp.bind("0.0.0.0:0")]
      yield* b.joinMulticast("239.1.2.3")
      const asking = yield* Effect.fork(Udp.request(a, { host: "239.1.2.3", port: b.address.port }, "who is there?"))
      yield* b.send("me", (yield* b.receive).from)
      expect(text(yield* Fiber.join(asking))).toBe("me")
    }))
})

describe("UdpSocket", () => {
  onMemory("a receiver that is interrupted where its fiber yields has lost no datagram", () =>
    Effect.gen(function* () {
      const [a, b] = yield* two
      let interrupted = 0
      const interrupting: Scheduler.Scheduler = {
        scheduleTask: (task, priority, fiber) => Scheduler.defaultScheduler.scheduleTask(task, priority, fiber),
        shouldYield(fiber) {
          const priority = Scheduler.defaultScheduler.shouldYield(fiber)
          if (priority !== false) fiber.unsafeInterruptAsFork(FiberId.none)
          return priority
        }
      }
      for (let steps = 1960; steps < 2060; steps++) {
        yield* a.send("precious", b.address)
        yield* turn
        let received = 0
        const receiving = Effect.gen(function* () {
          for (let step = 0; step < steps; step++) yield* Effect.sync(() => {})
          yield* b.receive
          received++
        })
        const exit = yield* Fiber.await(yield* Effect.fork(Effect.withScheduler(receiving, interrupting)))
        if (Exit.isInterrupted(exit)) interrupted++
        expect(received + (yield* queued(b))).toBe(1)
        if (received === 0) yield* b.receive
      }
      expect(interrupted).toBeGreaterThan(0)
    }))

  onMemory("what is no message is refused by name", () =>
    Effect.gen(function* () {
      const [a, b] = yield* two
      const connected = yield* Udp.connect(b.address)
      for (const value of [undefined, null, 5, [1], new ArrayBuffer(1)] as Array<never>) {
        const sends = [
          a.send(value, b.address),
          a.sendMany([["x", b.address], [value, b.address]]),
          connected.send(value)
        ]
        for (const send of sends) {
          expect(yield* Effect.flip(send)).toMatchObject({ _tag: "InvalidOption", option: "message" })
        }
      }
      yield* turn
      expect(yield* queued(b)).toBe(0)
    }))

  onMemory("is told apart from other values", () =>
    Effect.gen(function* () {
      expect(UdpSocket.isSocket(yield* Udp.bind({ port: 0 }))).toBe(true)
      expect(UdpSocket.isSocket({})).toBe(false)
    }))

  onMemory("counts", () =>
    Effect.gen(function* () {
      const [a, b] = yield* two
      yield* a.sendMany([["1234", b.address], ["", b.address], ["x", b.address]])
      yield* b.receive
      expect(yield* a.stats).toMatchObject({ sent: 3, received: 0 })
      expect(yield* b.stats).toEqual({ sent: 0, received: 3, dropped: 0, queued: 2, queuedBytes: 1, errors: 0 })
    }))

  onMemory("a stream emits what waits as one chunk", () =>
    Effect.gen(function* () {
      const [a, b] = yield* two
      for (let i = 0; i < 5; i++) yield* a.send(String(i), b.address)
      const sizes = yield* Stream.runCollect(Stream.take(Stream.chunks(b.datagrams), 1))
      expect(Array.from(sizes, (chunk) => chunk.length)).toEqual([5])
    }))

  onMemory("several receivers get one datagram each", () =>
    Effect.gen(function* () {
      const [a, b] = yield* two
      const waiting = yield* Effect.forEach([1, 2, 3], () => Effect.fork(b.receive))
      yield* turn
      for (const message of ["a", "b", "c"]) yield* a.send(message, b.address)
      expect((yield* Fiber.join(Fiber.all(waiting))).map(text).sort()).toEqual(["a", "b", "c"])
    }))
})

/** A network that reports what it is told to, for what real ones do at moments of their own. */
const scripted = (errors: Array<string>) => {
  let report: DatagramTransport.DatagramEvents | undefined
  const sent: Array<string> = []
  const network: Transport.Transport = {
    ...MemoryNetwork.make(),
    bindDatagram(_, events) {
      queueMicrotask(() => {
        report = events.onOpen({
          localAddress: { host: "127.0.0.1", port: 1 },
          send({ bytes, done }) {
            const code = errors.shift()
            if (code === undefined) sent.push(new TextDecoder().decode(bytes))
            done(code === undefined ? undefined : Object.assign(new Error(code), { code }))
          },
          sendMany: (datagrams) => datagrams.forEach(({ done }) => done()),
          configure() {},
          join() {},
          leave() {},
          close: () => queueMicrotask(() => report?.onClose())
        })
      })
      return () => {}
    }
  }
  return { layer: Network.layer(network), sent, report: () => report! }
}

/** Receives on and on, and notes each datagram, then in a fiber of its own. */
const noting = (socket: UdpSocket.Socket, notes: Array<string>) =>
  Effect.gen(function* () {
    while (true) {
      const received = text(yield* socket.receive)
      notes.push(received)
      yield* Effect.fork(Effect.sync(() => notes.push(`${received} forked`)))
    }
  })

describe("the fiber of a receiver", () => {
  it.scoped("goes on within the callback that brings a datagram, its forks later", () => {
    const { layer, report } = scripted([])
    return Effect.gen(function* () {
      const notes: Array<string> = []
      yield* Effect.fork(noting(yield* Udp.bind({ port: 0 }), notes))
      yield* turn
      for (const message of ["a", "b"]) {
        report().onMessage(new TextEncoder().encode(message), "127.0.0.1", 1, false)
        notes.push("callback over")
        yield* turn
      }
      expect(notes).toEqual(["a", "callback over", "a forked", "b", "callback over", "b forked"])
    }).pipe(Effect.provide(layer))
  })

  it.scoped("goes by the scheduler that it has chosen, if any", () => {
    const { layer, report } = scripted([])
    return Effect.gen(function* () {
      const notes: Array<string> = []
      const own: Scheduler.Scheduler = {
        scheduleTask: (task) => {
          notes.push("scheduled")
          setTimeout(task)
        },
        shouldYield: () => false
      }
      const socket = yield* Udp.bind({ port: 0 })
      const receiving = Effect.map(socket.receive, (datagram) => notes.push(text(datagram)))
      const fiber = yield* Effect.fork(Effect.withScheduler(receiving, own))
      yield* turn
      report().onMessage(new TextEncoder().encode("a"), "127.0.0.1", 1, false)
      notes.push("callback over")
      yield* Fiber.await(fiber)
      expect(notes).toEqual(["scheduled", "callback over", "a"])
    }).pipe(Effect.provide(layer))
  })
})

describe("errors of the network", () => {
  it.scoped("what is said of an earlier datagram does not keep back the next", () => {
    const { layer, sent } = scripted(["ECONNREFUSED", "EHOSTUNREACH"])
    return Effect.gen(function* () {
      const socket = yield* Udp.bind({ port: 0 })
      yield* socket.send("hello", "127.0.0.1:2")
      expect(sent).toEqual(["hello"])
    }).pipe(Effect.provide(layer))
  })

  it.scoped("what is said again and again is said of this one", () => {
    const { layer } = scripted(Array.from({ length: 9 }, () => "ENETUNREACH"))
    return Effect.gen(function* () {
      const socket = yield* Udp.bind({ port: 0 })
      expect(tag(yield* Effect.exit(socket.send("hello", "127.0.0.1:2")))).toBe("NetworkUnreachable")
    }).pipe(Effect.provide(layer))
  })

  it.scoped("on a connected socket a send fails with what is said of the peer", () => {
    const { layer, sent } = scripted(["ECONNREFUSED"])
    return Effect.gen(function* () {
      const socket = yield* Udp.connect("127.0.0.1:2")
      expect(tag(yield* Effect.exit(socket.send("hello")))).toBe("ConnectionRefused")
      yield* socket.send("again")
      expect(sent).toEqual(["again"])
    }).pipe(Effect.provide(layer))
  })

  it.scoped("without a connection they are counted, and fail nobody", () => {
    const { layer, report } = scripted([])
    return Effect.gen(function* () {
      const socket = yield* Udp.bind({ port: 0 })
      const waiting = yield* Effect.fork(socket.receive)
      yield* turn
      report().onError(Object.assign(new Error(), { code: "ECONNREFUSED" }))
      report().onMessage(new Uint8Array(1), "127.0.0.1", 2, true)
      expect((yield* Fiber.join(waiting)).truncated).toBe(true)
      expect((yield* socket.stats).errors).toBe(1)
    }).pipe(Effect.provide(layer))
  })

  it.scoped("a network without datagrams says so", () => {
    const { bindDatagram: _, ...streams } = MemoryNetwork.make()
    const network = Network.layer({ ...streams, capabilities: { ...streams.capabilities, datagram: false } })
    return Effect.gen(function* () {
      const error = yield* Effect.flip(Udp.bind({ port: 0 }))
      expect(error).toMatchObject({ _tag: "Unsupported", capability: "datagram", operation: "bind" })
    }).pipe(Effect.provide(network))
  })
})
