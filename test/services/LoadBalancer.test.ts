/**
 * The balancer's choice and its thresholds, as plain data; and what it does with connections, in memory.
 */
import { describe, expect, it } from "@effect/vitest"
import { Duration, Effect, Option, type Scope, TestClock } from "effect"
import { type Connection, Net, type Network, Server, SocketAddress } from "effect-netkit"
import { MemoryNetwork } from "effect-netkit/memory"
import { Backend, choose } from "../../examples/services/load-balancer/Backend.ts"
import * as Balancer from "../../examples/services/load-balancer/Balancer.ts"

const backend = (port: number, state: Partial<Backend> = {}): Backend =>
  Object.assign(new Backend(SocketAddress.inet("127.0.0.1", port)), state)

const chosen = (backends: ReadonlyArray<Backend>, tried: ReadonlyArray<Backend> = [], max = Infinity): number =>
  backends.indexOf(choose(backends, new Set(tried), max)!)

describe("the choice", () => {
  it("falls on the fewest connections, then on who has served least", () => {
    expect(chosen([backend(1, { active: 2 }), backend(2, { active: 1 }), backend(3, { active: 3 })])).toBe(1)
    expect(chosen([backend(1, { served: 2 }), backend(2, { served: 1 }), backend(3, { served: 3 })])).toBe(1)
    expect(chosen([backend(1), backend(2)])).toBe(0)
  })

  it("leaves out who drains, is full or was tried", () => {
    const backends = [backend(1, { active: 1 }), backend(2, { draining: true }), backend(3, { active: 5 })]
    expect(chosen(backends)).toBe(0)
    expect(chosen(backends, [backends[0]!])).toBe(2)
    expect(chosen(backends, [backends[0]!], 5)).toBe(-1)
    expect(chosen([])).toBe(-1)
  })

  it("falls on who is down only where nobody is up", () => {
    expect(chosen([backend(1, { up: false }), backend(2, { active: 9 })])).toBe(1)
    expect(chosen([backend(1, { up: false, active: 1 }), backend(2, { up: false })])).toBe(1)
  })
})

describe("checks", () => {
  it("change the state after so many in a row", () => {
    const one = backend(1)
    const check = (success: boolean) => [one.checked(success, { rise: 2, fall: 3 }), one.up]
    expect([false, false, true, false, false].map(check).every(([changed, up]) => !changed && up)).toBe(true)
    expect(check(false)).toEqual([true, false])
    expect([true, false, true].map(check).every(([changed, up]) => !changed && !up)).toBe(true)
    expect(check(true)).toEqual([true, true])
  })

  it("are needed to come back after a refused connection", () => {
    const one = backend(1)
    expect([one.refused(), one.up, one.refused(), one.failed]).toEqual([true, false, false, 2])
    expect([one.checked(true, { rise: 2, fall: 3 }), one.checked(true, { rise: 2, fall: 3 })]).toEqual([false, true])
  })
})

const listen = { host: "127.0.0.1", port: 0 }
const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes)

const options = {
  maxConnections: Infinity,
  connectTimeout: Duration.seconds(2),
  checkInterval: Duration.seconds(1),
  rise: 2,
  fall: 3
}

const inMemory = (name: string, body: () => Effect.Effect<unknown, unknown, Scope.Scope | Network.Network>) =>
  it.scoped(name, () => Effect.provide(body(), MemoryNetwork.layer))

/** Backends that listen, and a balancer before them. */
const balanced = (count: number, changes: Partial<Balancer.Options> = {}) =>
  Effect.gen(function* () {
    const listeners = yield* Effect.replicateEffect(Net.listen(listen), count)
    const backends = listeners.map(({ address }) => new Backend(address))
    const handler = Balancer.makeHandler({ ...options, ...changes, backends })
    const balancer = yield* Server.serve(Server.make({ listen, handler }))
    return { backends, balancer, listeners, dial: Net.connect(balancer.address) }
  })

const exchange = (client: Connection.Connection, server: Connection.Connection) =>
  Effect.gen(function* () {
    yield* client.write("question")
    expect(text(yield* server.readExactly(8))).toBe("question")
    yield* server.write("answer")
    expect(text(yield* client.readExactly(6))).toBe("answer")
  })

describe("a connection on which no byte has gone", () => {
  for (const end of ["close", "reset"] as const) {
    inMemory(`goes to the next backend if its own is gone by ${end}`, () =>
      Effect.gen(function* () {
        const { backends, dial, listeners } = yield* balanced(2)
        const client = yield* dial
        yield* (yield* listeners[0]!.accept)[end]
        const second = yield* listeners[1]!.accept
        expect(backends.map(({ active }) => active)).toEqual([0, 1])
        yield* exchange(client, second)
        expect(backends.map(({ served }) => served)).toEqual([0, 1])
      }))
  }

  inMemory("goes to the next backend if one refuses, which is down then", () =>
    Effect.gen(function* () {
      const { listeners } = yield* balanced(1)
      const backends = [new Backend(SocketAddress.inet("127.0.0.1", 9)), new Backend(listeners[0]!.address)]
      const handler = Balancer.makeHandler({ ...options, backends })
      const balancer = yield* Server.serve(Server.make({ listen, handler }))
      const client = yield* Net.connect(balancer.address)
      yield* exchange(client, yield* listeners[0]!.accept)
      expect(backends.map(String)).toEqual([
        "127.0.0.1:9 down: 0 active, 0 served, 1 failed",
        `${listeners[0]!.address} up: 1 active, 1 served, 0 failed`
      ])
    }))

  inMemory("is reset if nobody is left", () =>
    Effect.gen(function* () {
      const { dial, listeners } = yield* balanced(2)
      const client = yield* dial
      yield* (yield* listeners[0]!.accept).reset
      yield* (yield* listeners[1]!.accept).reset
      expect((yield* Effect.flip(client.read))._tag).toBe("ConnectionReset")
    }))

  inMemory(
    "loses nothing of a backend that speaks first, nor of a client that ends first",
    () =>
      Effect.gen(function* () {
        const { dial, listeners } = yield* balanced(1)
        const client = yield* dial
        const server = yield* listeners[0]!.accept
        yield* server.write("220 ready")
        expect(text(yield* client.readExactly(9))).toBe("220 ready")
        yield* exchange(client, server)
        const ended = yield* dial
        yield* ended.shutdown
        const other = yield* listeners[0]!.accept
        expect(Option.isNone(yield* other.read)).toBe(true)
        yield* other.write("goodbye")
        expect(text(yield* ended.readExactly(7))).toBe("goodbye")
      })
  )
})

inMemory("Once bytes have gone, a reset is passed on", () =>
  Effect.gen(function* () {
    const { dial, listeners } = yield* balanced(2)
    const client = yield* dial
    const server = yield* listeners[0]!.accept
    yield* exchange(client, server)
    yield* server.reset
    expect((yield* Effect.flip(client.read))._tag).toBe("ConnectionReset")
  }))

inMemory("A backend has no more than its limit", () =>
  Effect.gen(function* () {
    const { backends, dial, listeners } = yield* balanced(2, { maxConnections: 1 })
    const clients = yield* Effect.replicateEffect(dial, 2)
    for (const listener of listeners) yield* listener.accept
    const third = yield* dial
    expect((yield* Effect.flip(third.read))._tag).toBe("ConnectionReset")
    yield* clients[0]!.reset
    while (backends[0]!.active > 0) yield* Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 5)))
    yield* exchange(yield* dial, yield* listeners[0]!.accept)
    yield* clients[1]!.reset
  }))

inMemory("Checks take a backend down and bring it up", () =>
  Effect.gen(function* () {
    const address = SocketAddress.inet("127.0.0.1", 4711)
    const one = new Backend(address)
    yield* Effect.forkScoped(Balancer.watch(one, { ...options, backends: [one] }))
    const states: Array<boolean> = []
    const look = Effect.sync(() => void states.push(one.up))
    for (let i = 0; i < 4; i++) yield* Effect.zipRight(TestClock.adjust("1 second"), look)
    yield* Net.listen(address)
    for (let i = 0; i < 3; i++) yield* Effect.zipRight(TestClock.adjust("1 second"), look)
    expect(states[0]).toBe(true)
    expect(states[3]).toBe(false)
    expect(states.at(-1)).toBe(true)
  }))
