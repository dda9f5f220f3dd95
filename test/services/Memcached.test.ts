/**
 * The text protocol of memcached: its codec under any cut of the bytes, what the commands do, expiry under TestClock,
 * and what a hostile peer gets.
 */
import { describe, expect, it } from "@effect/vitest"
import { type Duration, Effect, type Scope, Stream, TestClock } from "effect"
import { Net, type Network, Server } from "effect-netkit"
import { MemoryNetwork } from "effect-netkit/memory"
import * as fc from "fast-check"
import * as Memcached from "../../examples/services/memcached/Memcached.ts"
import * as MemcachedServer from "../../examples/services/memcached/MemcachedServer.ts"
import { ascii, byteByByte, concat, cuts, decode, encode, utf8 } from "../support/frames.ts"

type Message = Memcached.Request | typeof Memcached.dropped

const requests = (frames: ReadonlyArray<Message>) => frames.filter((frame) => frame !== Memcached.dropped)

describe("the codec", () => {
  const word = fc.stringMatching(/^[!-~]{1,12}$/)
  const block = fc.uint8Array({ maxLength: 200 }).map((bytes) => Uint8Array.from(bytes))
  const storing = fc.tuple(fc.constantFrom("set", "add", "cas"), word, block).map(([name, key, data]) => ({
    request: { words: [name, key, "0", "0", String(data.length)], data },
    bytes: concat([utf8(`${name} ${key} 0 0 ${data.length}\r\n`), data, utf8("\r\n")])
  }))
  const plain = fc.array(word.filter((word) => !/^(set|add|cas|replace|append|prepend)$/.test(word)), { maxLength: 5 })
    .map((words) => ({ request: { words }, bytes: utf8(`${words.join(" ")}\r\n`) }))

  it("gives the same requests however the bytes are cut", () => {
    fc.assert(fc.property(fc.array(fc.oneof(storing, plain), { maxLength: 8 }), cuts, (sent, cut) => {
      const { error, frames } = decode(Memcached.server, cut(concat(sent.map(({ bytes }) => bytes))))
      expect(error).toBeUndefined()
      expect(frames).toEqual(sent.map(({ request }) => request))
    }))
  })

  it("drops a block that is too large, and goes on", () => {
    const large = concat([utf8("set a 0 0 1048577\r\n"), new Uint8Array(1048577), utf8("\r\nget a\r\n")])
    fc.assert(
      fc.property(cuts.filter((cut) => cut(new Uint8Array(300)).length < 100), (cut) => {
        const { error, frames } = decode(Memcached.server, cut(large))
        expect(error).toBeUndefined()
        expect(requests(frames)).toEqual([
          { words: ["set", "a", "0", "0", "1048577"], data: "object too large for cache" },
          { words: ["get", "a"] }
        ])
      }),
      { numRuns: 20 }
    )
  })

  it("takes a block of exactly the limit", () => {
    const whole = concat([utf8("set a 0 0 1048576\r\n"), new Uint8Array(1048576), utf8("\r\n")])
    const { frames } = decode(Memcached.server, [whole.subarray(0, 1000), whole.subarray(1000)])
    expect(frames).toMatchObject([{ data: { length: 1048576 } }])
  })

  it("ends with a line that has no end", () => {
    const { error, frames } = decode(Memcached.server, [utf8("version\r\n"), utf8("get ".repeat(20_000))], false)
    expect(frames).toEqual([{ words: ["version"] }])
    expect(error).toMatchObject({ _tag: "FrameMalformed", reason: "line too long" })
  })

  it("does not hold what an endless block announces", () => {
    const { error, frames } = decode(Memcached.server, [utf8(`set a 0 0 ${2n ** 63n}\r\n`), new Uint8Array(100)], false)
    expect(error).toBeUndefined()
    expect(requests(frames)).toMatchObject([{ data: "object too large for cache" }])
  })

  it("writes what get has found", () => {
    const found = [{ key: "a", flags: 7, value: utf8("\r\nx") }, { key: "b", flags: 0, value: utf8(""), unique: 5n }]
    expect(ascii(encode(Memcached.server, found, "STORED"))).toBe(
      "VALUE a 7 3\r\n\r\nx\r\nVALUE b 0 0 5\r\n\r\nEND\r\nSTORED\r\n"
    )
  })
})

const onMemory = <A, E>(name: string, effect: () => Effect.Effect<A, E, Scope.Scope | Network.Network>) =>
  it.scoped(name, () => Effect.provide(effect(), MemoryNetwork.layer))

/** Sends lines and gives what came for all of them. */
const session = (maxMemory = 10 * 1024 * 1024) =>
  Effect.gen(function* () {
    const handler = yield* MemcachedServer.makeHandler(maxMemory)
    const { address } = yield* Server.serve(Server.make({ listen: { port: 0 }, handler }))
    const connection = yield* Net.connect(address)
    const says = (...lines: ReadonlyArray<string>) =>
      Effect.gen(function* () {
        yield* connection.write([...lines, "version", ""].join("\r\n"))
        return ascii(yield* connection.readUntil("VERSION 1.6.0\r\n")).split("\r\n").slice(0, -2)
      })
    return { connection, says, sleep: (time: Duration.DurationInput) => TestClock.adjust(time) }
  })

const badLine = "CLIENT_ERROR bad command line format"

describe("the server", () => {
  onMemory("does as each command says", () =>
    Effect.gen(function* () {
      const { says } = yield* session()
      for (
        const [lines, expected] of [
          [["get a"], ["END"]],
          [["set a 5 0 3", "abc"], ["STORED"]],
          [["get a b"], ["VALUE a 5 3", "abc", "END"]],
          [["gets a"], ["VALUE a 5 3 1", "abc", "END"]],
          [["add a 0 0 1", "x"], ["NOT_STORED"]],
          [["replace b 0 0 1", "x"], ["NOT_STORED"]],
          [["replace a 6 0 1", "x"], ["STORED"]],
          [["append a 0 0 1", "y"], ["STORED"]],
          [["prepend a 0 0 1", "w"], ["STORED"]],
          [["append b 0 0 1", "y"], ["NOT_STORED"]],
          [["gets a"], ["VALUE a 6 3 4", "wxy", "END"]],
          [["cas a 0 0 1 3", "z"], ["EXISTS"]],
          [["cas b 0 0 1 3", "z"], ["NOT_FOUND"]],
          [["cas a 0 0 1 4", "z"], ["STORED"]],
          [["set a 0 0 1 noreply", "q", "get a"], ["VALUE a 0 1", "q", "END"]],
          [["delete a"], ["DELETED"]],
          [["delete a"], ["NOT_FOUND"]],
          [["delete a 0 noreply"], []],
          [["delete a 5"], [`${badLine}.  Usage: delete <key> [noreply]`]],
          [["set n 0 0 2", "10", "incr n 5", "decr n 20", "decr x 1"], ["STORED", "15", "0", "NOT_FOUND"]],
          [["set n 0 0 20", "18446744073709551615", "incr n 2"], ["STORED", "1"]],
          [["incr n x"], ["CLIENT_ERROR invalid numeric delta argument"]],
          [["incr n -1"], ["CLIENT_ERROR invalid numeric delta argument"]],
          [["set t 0 0 1", "x", "incr t 1"], [
            "STORED",
            "CLIENT_ERROR cannot increment or decrement non-numeric value"
          ]],
          [["touch t 5", "touch x 5"], ["TOUCHED", "NOT_FOUND"]],
          [["verbosity 1", "verbosity 1 noreply", "verbosity"], ["OK", "ERROR"]],
          [["flush_all", "get n t"], ["OK", "END"]],
          [["get", "", "nonsense", "constructor"], ["ERROR", "ERROR", "ERROR", "ERROR"]],
          [[`get ${"k".repeat(250)}`, `get ${"k".repeat(251)}`], ["END", badLine]],
          [[`set ${"k".repeat(251)} 0 0 1`, "x"], [badLine]],
          [["set a 0 0", "set a 0 0 x", "set a 0 0 -1"], ["ERROR", "ERROR", "ERROR"]],
          [["set a x 0 1", "x", "set a 4294967296 0 1", "x"], [badLine, badLine]],
          [["set a 0 0 1", "xy"], ["CLIENT_ERROR bad data chunk", "ERROR"]],
          [["set a 0 0 1048577", "x".repeat(1048577)], ["SERVER_ERROR object too large for cache"]]
        ] as const
      ) expect([lines[0], yield* says(...lines)]).toEqual([lines[0], expected])
    }))

  onMemory("lets values expire", () =>
    Effect.gen(function* () {
      const { says, sleep } = yield* session()
      yield* says("set a 0 10 1", "x", "set b 0 0 1", "x", "set c 0 -1 1", "x", "touch b 20")
      yield* sleep("9 seconds")
      expect(yield* says("get a b c")).toEqual(["VALUE a 0 1", "x", "VALUE b 0 1", "x", "END"])
      yield* sleep("1 second")
      expect(yield* says("get a b")).toEqual(["VALUE b 0 1", "x", "END"])
      yield* says("flush_all 5")
      yield* sleep("4 seconds")
      expect(yield* says("get b")).toEqual(["VALUE b 0 1", "x", "END"])
      yield* sleep("1 second")
      expect(yield* says("get b")).toEqual(["END"])
    }))

  onMemory("drops what was not used for longest when it is full", () =>
    Effect.gen(function* () {
      const { says } = yield* session(3500)
      const block = "x".repeat(1000)
      yield* says("set a 0 0 1000", block, "set b 0 0 1000", block, "set c 0 0 1000", block, "get a")
      yield* says("set d 0 0 1000", block)
      const left = yield* says("get a b c d")
      expect(left.filter((line) => line.startsWith("VALUE"))).toEqual([
        "VALUE a 0 1000",
        "VALUE c 0 1000",
        "VALUE d 0 1000"
      ])
      expect(yield* says("stats")).toContain("STAT evictions 1")
    }))

  onMemory("does nothing after quit", () =>
    Effect.gen(function* () {
      const { connection } = yield* session()
      yield* connection.write("set a 0 0 1\r\nx\r\nquit\r\nget a\r\n")
      expect(ascii(concat([...yield* Stream.runCollect(connection.stream)]))).toBe("STORED\r\n")
    }))

  onMemory("says why it closes when a line has no end", () =>
    Effect.gen(function* () {
      const { connection } = yield* session()
      for (const chunk of byteByByte(utf8("version\r\n"))) yield* connection.write(chunk)
      yield* connection.write("x".repeat(70_000))
      expect(ascii(concat([...yield* Stream.runCollect(connection.stream)]))).toBe(
        "VERSION 1.6.0\r\nCLIENT_ERROR line too long\r\n"
      )
    }))
})
