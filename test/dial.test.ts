/**
 * Dialling names: who is tried when, who wins, what is left open, and what the error says when nobody does. The rows of Go's dial tests
 * (net/dial_test.go) under TestClock in memory; names of the machine's own resolver are in dialNames.test.ts.
 */
import { describe, expect, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import { MemoryNetwork } from "../adapters/memory/index.ts"
import type { Connection } from "../src/Connection.ts"
import * as Net from "../src/Net.ts"
import { type ConnectError, isTransient } from "../src/NetError.ts"
import * as Network from "../src/Network.ts"
import * as SocketAddress from "../src/SocketAddress.ts"
import type { Transport } from "../src/Transport.ts"
import { readAll, text } from "./conformance/support.ts"
import * as Witness from "./conformance/witness.ts"

/** An address of the name that is dialled: of this family, with or without a listener, and how long it takes to answer. */
interface Host {
  readonly family: 4 | 6
  readonly listens: boolean
  readonly after: Duration.DurationInput
}

const up = (family: 4 | 6, after: Duration.DurationInput = 0): Host => ({ family, listens: true, after })
const refused = (family: 4 | 6, after: Duration.DurationInput = 0): Host => ({ family, listens: false, after })
const silent = (family: 4 | 6): Host => up(family, Duration.infinity)

const addressOf = ({ family }: Host, index: number) =>
  family === 4 ? `10.0.${index >> 8}.${index & 255}` : `fd00::${(index + 1).toString(16)}`

/** A network that has these hosts under the name `db.test`, with what each listener accepts, and a watch over the seam. */
const hosts = (all: ReadonlyArray<Host>, change: (transport: Transport) => Transport = (same) => same) =>
  Effect.gen(function* () {
    const addresses = all.map(addressOf)
    const memory = MemoryNetwork.make({
      names: { "db.test": addresses },
      addresses: ["10.0.0.0/16", "fd00::/16"],
      answersAfter: Object.fromEntries(all.flatMap(({ after }, i) => after === 0 ? [] : [[addresses[i]!, after]])),
      clock: yield* Effect.clock
    })
    const witness = Witness.make(change(memory))
    const network = Network.layer(witness.transport)
    const heard: Array<string> = []
    for (const [i, { listens }] of all.entries()) {
      if (!listens) continue
      const listener = yield* Effect.provide(Net.listen({ host: addresses[i]!, port: 80 }), Network.layer(memory))
      yield* Effect.forkScoped(
        Stream.runForEach(
          listener.connections,
          (connection) =>
            Effect.map(readAll(connection), (bytes) => void heard.push(`${i}: ${text(bytes)}`)).pipe(
              Effect.zipRight(connection.close),
              Effect.forkScoped
            )
        )
      )
    }
    return { network, heard, addresses, verdict: witness.verdict }
  })

/** Whatever can happen now has happened; memory networks live in microtasks. */
const settled = Effect.promise(() => new Promise<void>((resolve) => void setImmediate(resolve))).pipe(Effect.repeatN(3))

const at = (time: Duration.DurationInput) => Effect.zipRight(TestClock.setTime(Duration.toMillis(time)), settled)

interface Row {
  readonly name: string
  readonly hosts: ReadonlyArray<Host>
  readonly options?: Net.ConnectOptions
  /** Milliseconds until it is decided. */
  readonly time: number
  /** The index of the host that is connected to, or the tag of the error. */
  readonly outcome: number | ConnectError["_tag"]
}

const many = (count: number, host: Host) => Array.from({ length: count }, () => host)

const rows: ReadonlyArray<Row> = [
  { name: "one address", hosts: [up(4)], time: 0, outcome: 0 },
  { name: "one IPv6 address", hosts: [up(6)], time: 0, outcome: 0 },
  { name: "the first answers, others are silent", hosts: [up(4), up(6), silent(6)], time: 0, outcome: 0 },
  { name: "the first answers, IPv6 first", hosts: [up(6), up(4), silent(4)], time: 0, outcome: 0 },
  { name: "the first is silent", hosts: [silent(4), up(6)], time: 250, outcome: 1 },
  { name: "the first of one family is silent", hosts: [silent(4), up(4)], time: 250, outcome: 1 },
  { name: "a refusal is followed at once by the next of its family", hosts: [refused(4), up(4)], time: 0, outcome: 1 },
  { name: "a refusal is followed at once by the other family", hosts: [refused(4), up(6)], time: 0, outcome: 1 },
  { name: "a refusal of IPv6 is followed at once", hosts: [refused(6), up(4)], time: 0, outcome: 1 },
  { name: "a late refusal is followed at once", hosts: [refused(6, 100), up(4)], time: 100, outcome: 1 },
  { name: "the other family is not last", hosts: [silent(4), silent(4), up(6)], time: 250, outcome: 2 },
  {
    name: "families take turns, refusals among them do not wait",
    hosts: [silent(4), silent(4), refused(6), up(6)],
    time: 500,
    outcome: 3
  },
  { name: "the second is connected first", hosts: [up(4, 500), up(6, 100)], time: 350, outcome: 1 },
  { name: "the first is connected first, though late", hosts: [up(4, 300), up(6, 100)], time: 300, outcome: 0 },
  {
    name: "the first, slower than all delays together",
    hosts: [up(4, 3000), refused(6), silent(4)],
    time: 3000,
    outcome: 0
  },
  { name: "everything is refused", hosts: [refused(4), refused(6)], time: 0, outcome: "ConnectionRefused" },
  { name: "everything is silent", hosts: [silent(4), silent(6)], time: 10_000, outcome: "ConnectTimeout" },
  { name: "no address", hosts: [], time: 0, outcome: "NameNotFound" },
  { name: "1000 addresses", hosts: many(1000, up(6)), time: 0, outcome: 0 },
  { name: "1000 addresses, only the last answers", hosts: [...many(999, refused(4)), up(4)], time: 0, outcome: 999 },
  {
    name: "a delay of its own",
    hosts: [silent(4), up(6)],
    options: { connectionAttemptDelay: "10 millis" },
    time: 10,
    outcome: 1
  },
  {
    name: "a long delay",
    hosts: [silent(4), up(6)],
    options: { connectionAttemptDelay: "2 seconds" },
    time: 2000,
    outcome: 1
  },
  {
    name: "no race: one after the other",
    hosts: [refused(4, 4000), up(6, 100)],
    options: { connectionAttemptDelay: Duration.infinity },
    time: 4100,
    outcome: 1
  },
  {
    name: "no limit of time",
    hosts: [up(6, "1 hour"), silent(4)],
    options: { connectTimeout: Duration.infinity },
    time: 3_600_000,
    outcome: 0
  },
  {
    name: "a short limit of time",
    hosts: [silent(6), up(4)],
    options: { connectTimeout: "100 millis" },
    time: 100,
    outcome: "ConnectTimeout"
  },
  { name: "IPv4 alone", hosts: [silent(6), up(4)], options: { family: 4 }, time: 0, outcome: 1 },
  { name: "IPv6 alone", hosts: [silent(4), up(6)], options: { family: 6 }, time: 0, outcome: 1 },
  { name: "no such family", hosts: [up(4)], options: { family: 6 }, time: 0, outcome: "NameNotFound" },
  {
    name: "the family of localAddress",
    hosts: [up(6), up(4)],
    options: { localAddress: "10.0.0.9" },
    time: 0,
    outcome: 1
  }
]

/** Where it came to, or the tag of the error. */
const told = Effect.match({
  onFailure: (error: { readonly _tag: string }) => error._tag,
  onSuccess: ({ remoteAddress }: Connection) => String(remoteAddress)
})

const expected = (outcome: Row["outcome"], addresses: ReadonlyArray<string>) =>
  typeof outcome === "string" ? outcome : String(SocketAddress.inet(addresses[outcome]!, 80))

describe("a name", () => {
  it.scoped.each(rows)("$name", ({ hosts: all, options, outcome, time }) =>
    Effect.gen(function* () {
      const { addresses, heard, network, verdict } = yield* hosts(all)
      const dialling = yield* Effect.fork(
        Net.connect("db.test:80", options).pipe(
          Effect.tap((connection) => connection.write("hello")),
          told,
          Effect.scoped,
          Effect.provide(network)
        )
      )
      yield* settled
      if (time > 0) {
        yield* at(time - 1)
        expect(Option.isNone(yield* Fiber.poll(dialling))).toBe(true)
        yield* at(time)
      }
      expect(yield* Fiber.join(dialling)).toBe(expected(outcome, addresses))
      yield* settled
      // The losers have sent nothing; no attempt is left.
      expect(heard.filter((line) => !line.endsWith(": "))).toEqual(
        typeof outcome === "number" ? [`${outcome}: hello`] : []
      )
      yield* at(time + 20_000)
      yield* verdict
    }))

  it.scoped.each(rows.filter(({ hosts }) => hosts.length < 10))(
    "$name: interrupted at any moment",
    ({ hosts: all, options, time }) =>
      Effect.gen(function* () {
        for (const moment of [0, 5, 249, 250, 251, time - 1, time]) {
          const { heard, network, verdict } = yield* hosts(all)
          const start = yield* Effect.clockWith((clock) => clock.currentTimeMillis)
          const dialling = yield* Effect.fork(
            Effect.scoped(Net.connect("db.test:80", options)).pipe(Effect.provide(network))
          )
          if (moment > 0) yield* at(start + moment)
          yield* Fiber.interrupt(dialling)
          yield* at(start + moment + 20_000)
          yield* verdict
          expect(heard.filter((line) => !line.endsWith(": "))).toEqual([])
        }
      })
  )
})

/** The error of a dial in a network of these hosts, once the time has passed. */
const failure = (all: ReadonlyArray<Host>, options: Net.ConnectOptions = {}, time: Duration.DurationInput = 0) =>
  Effect.gen(function* () {
    const { network } = yield* hosts(all)
    const dialling = yield* Effect.fork(
      Effect.flip(Effect.scoped(Net.connect("db.test:80", options))).pipe(Effect.provide(network))
    )
    yield* settled
    yield* at(time)
    return yield* Fiber.join(dialling)
  })

const attemptsOf = (error: ConnectError) =>
  "attempts" in error
    ? error.attempts?.map((attempt) => `${"address" in attempt && attempt.address} ${attempt._tag}`)
    : undefined

describe("an error", () => {
  it.scoped("names the addresses that were tried, in their order", () =>
    Effect.gen(function* () {
      const error = yield* failure([refused(6), refused(6), refused(4)])
      expect(error._tag).toBe("ConnectionRefused")
      expect(error.message).toBe(
        "connect to db.test:80: connection refused; is a server listening there? ([fd00::1]:80, 10.0.0.2:80, [fd00::2]:80)"
      )
      expect(attemptsOf(error)).toEqual([
        "[fd00::1]:80 ConnectionRefused",
        "10.0.0.2:80 ConnectionRefused",
        "[fd00::2]:80 ConnectionRefused"
      ])
      expect(error.cause).toMatchObject({ code: "ECONNREFUSED" })
      expect(isTransient(error)).toBe(true)
    }))

  it.scoped("is a refusal where one host refused, and says what became of the others", () =>
    Effect.gen(function* () {
      const memory = MemoryNetwork.make({ names: { "db.test": ["192.0.2.1", "127.0.0.1", "198.51.100.1"] } })
      const error = yield* Effect.flip(Net.connect("db.test:80")).pipe(Effect.provide(Network.layer(memory)))
      expect(error._tag).toBe("ConnectionRefused")
      expect(error.message).toContain(
        "(192.0.2.1:80 NetworkUnreachable, 127.0.0.1:80 ConnectionRefused, 198.51.100.1:80 NetworkUnreachable)"
      )
    }))

  it.scoped("of many addresses is still one line for a terminal", () =>
    Effect.gen(function* () {
      const error = yield* failure(many(20, refused(4)))
      expect(error.message).toContain("(10.0.0.0:80, 10.0.0.1:80, 10.0.0.2:80, 10.0.0.3:80, and 16 more)")
      expect(attemptsOf(error)?.length).toBe(20)
    }))

  it.scoped("of time tells who refused before, and who never answered", () =>
    Effect.gen(function* () {
      const error = yield* failure([refused(4), silent(6)], { connectTimeout: "2 seconds" }, "2 seconds")
      expect(error.message).toBe(
        "connect to db.test:80: no answer within 2s (10.0.0.0:80 ConnectionRefused, [fd00::2]:80 ConnectTimeout)"
      )
    }))

  it.scoped("of an address that was dialled itself has no attempts", () =>
    Effect.gen(function* () {
      const { network } = yield* hosts([refused(4), silent(4)])
      const refusal = yield* Effect.flip(Net.connect("10.0.0.0:80")).pipe(Effect.provide(network))
      expect([attemptsOf(refusal), refusal.message]).toEqual([
        undefined,
        "connect to 10.0.0.0:80: connection refused; is a server listening there?"
      ])
    }))

  it.scoped("of a family that the name has not names the family", () =>
    Effect.gen(function* () {
      const error = yield* failure([up(4)], { family: 6 })
      expect(error.message).toBe("connect to db.test:80: no IPv6 address found for this name")
    }))
})

describe("losers", () => {
  it.scoped("that were connected at the same moment are closed without data", () =>
    Effect.gen(function* () {
      // The first answers in the moment that the second begins.
      const { heard, network, verdict } = yield* hosts([up(4, 250), up(6)])
      const dialling = yield* Effect.fork(
        Effect.scoped(Effect.flatMap(Net.connect("db.test:80"), (connection) => connection.write("hello"))).pipe(
          Effect.provide(network)
        )
      )
      yield* settled
      yield* at(250)
      yield* Fiber.join(dialling)
      yield* at(20_000)
      expect(heard.filter((line) => line.endsWith("hello")).length).toBe(1)
      yield* verdict
    }))
})

describe("who looks up", () => {
  const asked = (change: (transport: Transport) => Transport, options?: Net.ConnectOptions) =>
    Effect.gen(function* () {
      const endpoints: Array<string> = []
      const { network } = yield* hosts([up(4), up(6)], (transport) =>
        change({
          ...transport,
          connect: (request, events) => {
            endpoints.push("host" in request.endpoint ? request.endpoint.host : request.endpoint.path)
            return transport.connect(request, events)
          }
        }))
      const tag = yield* Effect.scoped(told(Net.connect("db.test:80", options))).pipe(Effect.provide(network))
      return [...endpoints, tag]
    })
  const without = ({ lookup: _, ...transport }: Transport): Transport => transport

  it.scoped("the core, where the transport has a resolver", () =>
    Effect.map(asked((same) => same), (all) => expect(all).toEqual(["10.0.0.0", "10.0.0.0:80"])))

  it.scoped("the runtime, where it has none", () =>
    Effect.map(asked(without), (all) => expect(all).toEqual(["db.test", "10.0.0.0:80"])))

  it.scoped("nobody, where it has none and a family is asked for", () =>
    Effect.map(asked(without, { family: 4 }), (all) => expect(all).toEqual(["NameNotFound"])))

  it.scoped("the runtime, where it may use names only; the core all the same where a family is asked for", () =>
    Effect.gen(function* () {
      const names = (transport: Transport): Transport => ({ ...transport, dialsNames: () => true })
      expect(yield* asked(names)).toEqual(["db.test", "10.0.0.0:80"])
      expect(yield* asked(names, { family: 6 })).toEqual(["fd00::2", "[fd00::2]:80"])
    }))
})

describe("options", () => {
  const wrong: ReadonlyArray<readonly [option: string, address: string, options: object]> = [
    ["family", "db.test:80", { family: 5 }],
    ["family", "127.0.0.1:80", { family: 6 }],
    ["family", "[::1]:80", { family: 4 }],
    ["family", "/run/x.sock", { family: 4 }],
    ["localAddress", "127.0.0.1:80", { localAddress: "::1" }],
    ["localAddress", "/run/x.sock", { localAddress: "127.0.0.1" }],
    ["localPort", "/run/x.sock", { localPort: 80 }],
    ["localAddress", "db.test:80", { localAddress: "::1", family: 4 }],
    ["connectionAttemptDelay", "db.test:80", { connectionAttemptDelay: "9 millis" }],
    ["connectionAttemptDelay", "db.test:80", { connectionAttemptDelay: -1 }]
  ]
  it.effect.each(wrong)("a wrong %s for %s: %j", ([option, address, options]) =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(Effect.scoped(Net.connect(address, options)))
      expect(error).toMatchObject({ _tag: "InvalidOption", option })
    }).pipe(Effect.provide(MemoryNetwork.layer)))
})

describe("lookup", () => {
  const look = (host: string, options?: Net.LookupOptions) =>
    Net.lookup(host, options).pipe(
      Effect.merge,
      Effect.map((result) => result instanceof Error ? result.message : result),
      Effect.provide(
        Network.layer(MemoryNetwork.make({ names: { "db.test": ["10.0.0.1", "fd00::1", "10.0.0.1", "10.0.0.2"] } }))
      )
    )

  it.effect("gives each address once, in the resolver's order", () =>
    Effect.gen(function* () {
      expect(yield* look("DB.test")).toEqual(["10.0.0.1", "fd00::1", "10.0.0.2"])
      expect(yield* look("db.test", { family: "any" })).toEqual(["10.0.0.1", "fd00::1", "10.0.0.2"])
      expect(yield* look("db.test", { family: 4 })).toEqual(["10.0.0.1", "10.0.0.2"])
      expect(yield* look("db.test", { family: 6 })).toEqual(["fd00::1"])
    }))

  it.effect("gives an IP address itself", () =>
    Effect.gen(function* () {
      expect(yield* look("127.0.0.1")).toEqual(["127.0.0.1"])
      expect(yield* look("[0:0::1]", { family: 6 })).toEqual(["::1"])
      expect(yield* look("127.0.0.1", { family: 6 })).toBe("family 6: not of one family with 127.0.0.1")
    }))

  it.effect("says what it does not find", () =>
    Effect.gen(function* () {
      expect(yield* look("no.test")).toBe("look up no.test: no address found for this name; is it spelt right?")
      expect(yield* look("localhost", { family: 6 })).toEqual(["::1"])
      expect(yield* look("no such name")).toContain("host no such name: not ")
    }))
})
