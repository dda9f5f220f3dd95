/**
 * RESP: its codecs under any cut of the bytes, what the commands do, expiry under TestClock, and what a hostile peer
 * gets.
 */
import { describe, expect, it } from "@effect/vitest"
import { Chunk, Effect, Option, type Scope, Stream, TestClock } from "effect"
import { Net, type Network, Server } from "effect-netkit"
import { MemoryNetwork } from "effect-netkit/memory"
import * as fc from "fast-check"
import { glob } from "../../examples/services/resp/glob.ts"
import * as Resp from "../../examples/services/resp/Resp.ts"
import * as RespClient from "../../examples/services/resp/RespClient.ts"
import * as RespServer from "../../examples/services/resp/RespServer.ts"
import { ascii, byteByByte, concat, cuts, decode, encode, utf8 } from "../support/frames.ts"

const words = (command: Resp.Command): ReadonlyArray<string> => command.map(ascii)

const blob = fc.uint8Array({ maxLength: 300 }).map((bytes) => Uint8Array.from(bytes))
const line = fc.string({ maxLength: 40 }).filter((text) => !/[\r\n]/.test(text))

const { reply } = fc.letrec<{ reply: Resp.Reply }>((tie) => ({
  reply: fc.oneof(
    { depthSize: "small", maxDepth: 4 },
    blob,
    fc.constant(null),
    fc.integer(),
    fc.bigInt({ min: 2n ** 53n, max: 2n ** 63n - 1n }),
    line.map((text) => new Resp.Simple(text)),
    line.map((text) => new Resp.RespError(text)),
    fc.array(tie("reply"), { maxLength: 5 })
  )
}))

/** Errors are equal if their messages are; `encoded` is no part of a value. */
const plain = (reply: Resp.Reply): unknown => {
  if (reply instanceof Resp.Simple) return { simple: reply.text }
  if (reply instanceof Resp.RespError) return { error: reply.message }
  return Array.isArray(reply) ? reply.map(plain) : reply
}

describe("the codecs", () => {
  it("give the same commands however the bytes are cut", () => {
    fc.assert(fc.property(fc.array(fc.array(blob, { maxLength: 6 }), { maxLength: 6 }), cuts, (commands, cut) => {
      const { error, frames } = decode(Resp.server, cut(encode(Resp.client, ...commands)))
      expect(error).toBeUndefined()
      expect(frames).toEqual(commands)
    }))
  })

  it("give the same replies however the bytes are cut", () => {
    fc.assert(fc.property(fc.array(reply, { maxLength: 6 }), cuts, (replies, cut) => {
      const { error, frames } = decode(Resp.client, cut(encode(Resp.server, ...replies)))
      expect(error).toBeUndefined()
      expect(frames.map(plain)).toEqual(replies.map(plain))
    }))
  })

  it("take inline commands, and commands of no words", () => {
    const { frames } = decode(
      Resp.server,
      byteByByte(utf8("PING\r\n  SET a  b \n\r\n*0\r\n*-1\r\n*1\r\n$4\r\nPING\r\n"))
    )
    expect(frames.map(words)).toEqual([["PING"], ["SET", "a", "b"], [], [], [], ["PING"]])
  })

  it.each([
    ["invalid bulk length", "*1\r\n$9223372036854775808\r\n"],
    ["invalid bulk length", "*1\r\n$-1\r\n"],
    ["invalid bulk length", "*1\r\n$-9223372036854775809\r\n"],
    ["bulk string without its end", "*1\r\n$3\r\nabcd\r\n"],
    ["expected '$', got ':'", "*1\r\n:1\r\n"],
    ["invalid multibulk length", "*1048577\r\n"],
    ["invalid multibulk length", "*1x\r\n"],
    ["invalid multibulk length", "*\r\n"],
    ["CR without LF", "*1\rx"],
    ["too long a line", "*1\r\n$" + "0".repeat(64 * 1024)],
    ["too big inline request", "x".repeat(64 * 1024)]
  ])("refuse a command: %s", (reason, text) => {
    for (const chunks of [[utf8(text)], byteByByte(utf8(text))]) {
      expect(decode(Resp.server, chunks, false).error).toMatchObject({ _tag: "FrameMalformed", reason })
    }
  })

  it("refuse a command that is too large before it has come", () => {
    const { error } = decode(Resp.server, [utf8("*1\r\n$9000000\r\n")], false)
    expect(error).toMatchObject({ _tag: "FrameMalformed", reason: "too big a command" })
  })

  it.each([
    ["too many levels", "*1\r\n".repeat(33) + ":1\r\n"],
    ["expected an integer, got '12x'", ":12x\r\n"],
    ["too long a line", "+" + "x".repeat(70_000)],
    ["expected a reply, got 'h'", "hello\r\n"]
  ])("refuse a reply: %s", (reason, text) => {
    expect(decode(Resp.client, [utf8(text)], false).error).toMatchObject({ _tag: "FrameMalformed", reason })
  })

  it("never crash nor hang on arbitrary bytes", () => {
    const pieces = fc.constantFrom("*", "$", "+", "-", ":", "\r\n", "\r", "1", "3", "-1", "abc", "\0")
    fc.assert(fc.property(fc.array(pieces, { maxLength: 40 }), cuts, (pieces, cut) => {
      const whole = utf8(pieces.join(""))
      for (const codec of [Resp.server, Resp.client]) {
        const all = decode<unknown, never>(codec, [whole])
        const parts = decode<unknown, never>(codec, cut(whole))
        expect([parts.frames.length, parts.error?._tag]).toEqual([all.frames.length, all.error?._tag])
      }
    }))
  })

  it("look once at what has come, however long a command or reply is", () => {
    const command = Array.from({ length: 20_000 }, (_, i) => utf8(String(i)))
    const bytes = encode(Resp.client, command)
    expect(decode(Resp.server, byteByByte(bytes)).frames).toEqual([command])
    expect(decode(Resp.client, byteByByte(bytes)).frames).toEqual([command])
  })
})

describe("patterns", () => {
  it.each([
    ["h?llo", "hello", true],
    ["h?llo", "hllo", false],
    ["h*o", "ho", true],
    ["h*l*o", "hello", true],
    ["*a*b", "xxaxx", false],
    ["h[ae]llo", "hallo", true],
    ["h[^e]llo", "hello", false],
    ["[c-a]x", "bx", true],
    ["\\*", "*", true],
    ["\\*", "a", false],
    ["[\\]]", "]", true],
    ["", "", true],
    ["*", "", true]
  ])("%j fits %j: %s", (pattern, text, fits) => expect(glob(pattern)(text)).toBe(fits))

  it("take no time that grows with the number of stars", () => {
    expect(glob("a*".repeat(30) + "b")("a".repeat(10_000))).toBe(false)
  })
})

const onMemory = <A, E>(name: string, effect: () => Effect.Effect<A, E, Scope.Scope | Network.Network>) =>
  it.scoped(name, () => Effect.provide(effect(), MemoryNetwork.layer))

const serve = (maxMemory = 1024 * 1024) =>
  Effect.gen(function* () {
    const handler = yield* RespServer.makeHandler(maxMemory)
    const { address } = yield* Server.serve(Server.make({ listen: { port: 0 }, handler }))
    return address
  })

const connect = Effect.flatMap(serve(), (address) => RespClient.connect(address))

/** What a raw client gets for its bytes until the server closes. */
const answer = (...chunks: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const connection = yield* Net.connect(yield* serve())
    for (const chunk of chunks) yield* connection.write(chunk)
    yield* connection.shutdown
    return ascii(concat([...Chunk.toReadonlyArray(yield* Stream.runCollect(connection.stream))]))
  })

describe("the server", () => {
  onMemory("does as each command says", () =>
    Effect.gen(function* () {
      const { command } = yield* connect
      const says = (line: string) =>
        Effect.map(Effect.either(command(...line.split(" "))), (result) => {
          const reply = result._tag === "Right" ? result.right : result.left
          const show = (reply: unknown): unknown =>
            reply instanceof Uint8Array ? ascii(reply) : Array.isArray(reply) ? reply.map(show) : reply
          if (reply instanceof Resp.Simple) return `+${reply.text}`
          return reply instanceof Error ? reply.message : show(reply)
        })
      const notAnInteger = "ERR value is not an integer or out of range"
      for (
        const [line, expected] of [
          ["PING", "+PONG"],
          ["PING hi", "hi"],
          ["ECHO x", "x"],
          ["ECHO", "ERR wrong number of arguments for 'echo' command"],
          ["NONSENSE 1", "ERR unknown command 'NONSENSE'"],
          ["SELECT 0", "+OK"],
          ["SELECT 1", "ERR DB index is out of range"],
          ["HELLO 3", "NOPROTO unsupported protocol version"],
          ["CONFIG GET save", ["save", ""]],
          ["COMMAND DOCS", []],
          ["GET a", null],
          ["SET a 1", "+OK"],
          ["get a", "1"],
          ["INCR a", 2],
          ["DECR a", 1],
          ["INCRBY a 9223372036854775806", 9223372036854775807n],
          ["INCR a", "ERR increment or decrement would overflow"],
          ["INCRBY a 1.5", notAnInteger],
          ["INCRBY a 9223372036854775808", notAnInteger],
          ["DECRBY n 5", -5],
          ["SET t x", "+OK"],
          ["INCR t", notAnInteger],
          ["SET t y NX", null],
          ["SET t y XX", "+OK"],
          ["SET t z GET", "y"],
          ["SET new z XX", null],
          ["SET t z NX XX", "ERR syntax error"],
          ["SET t z EX", "ERR syntax error"],
          ["SET t z EX 0", "ERR invalid expire time in 'set' command"],
          ["SET t z EX x", notAnInteger],
          ["APPEND t abc", 4],
          ["STRLEN t", 4],
          ["STRLEN none", 0],
          ["MSET x 1 y 2", "+OK"],
          ["MSET x 1 y", "ERR wrong number of arguments for 'mset' command"],
          ["MGET x none y", ["1", null, "2"]],
          ["EXISTS x x none", 2],
          ["TYPE x", "+string"],
          ["KEYS [xy]", ["x", "y"]],
          ["DEL x y none", 2],
          ["DBSIZE", 3],
          ["FLUSHALL", "+OK"],
          ["DBSIZE", 0]
        ] as const
      ) expect([line, yield* says(line)]).toEqual([line, expected])
    }))

  onMemory("lets keys expire", () =>
    Effect.gen(function* () {
      const { command } = yield* connect
      yield* command("SET", "a", 1, "EX", 10)
      yield* command("SET", "b", 1)
      expect(yield* command("EXPIRE", "b", 20)).toBe(1)
      expect(yield* command("EXPIRE", "none", 20)).toBe(0)
      expect(yield* command("TTL", "a")).toBe(10)
      yield* TestClock.adjust("9 seconds")
      expect(yield* command("PTTL", "a")).toBe(1000)
      yield* TestClock.adjust("1 second")
      expect(yield* command("GET", "a")).toBe(null)
      expect(yield* command("TTL", "a")).toBe(-2)
      yield* command("INCR", "b")
      expect(yield* command("TTL", "b")).toBe(10)
      expect(yield* command("PERSIST", "b")).toBe(1)
      expect(yield* command("TTL", "b")).toBe(-1)
      yield* command("SET", "b", 1, "PX", 5)
      yield* command("SET", "b", 2, "KEEPTTL")
      yield* TestClock.adjust("5 millis")
      expect(yield* command("DBSIZE")).toBe(0)
    }))

  onMemory("holds no more than it may", () =>
    Effect.gen(function* () {
      const { command } = yield* RespClient.connect(yield* serve(10_000))
      const value = new Uint8Array(5000)
      yield* command("SET", "a", value)
      expect(yield* Effect.flip(command("SET", "b", value))).toMatchObject({ message: expect.stringMatching(/^OOM /) })
      yield* command("SET", "a", value)
      yield* command("DEL", "a")
      yield* command("SET", "b", value)
    }))

  onMemory("replies with more than a command may have", () =>
    Effect.gen(function* () {
      const { command } = yield* RespClient.connect(yield* serve(10 * 1024 * 1024))
      yield* command("SET", "a", new Uint8Array(5 * 1024 * 1024))
      const replies = yield* command("MGET", "a", "a", "a")
      expect((replies as ReadonlyArray<Uint8Array>).map((value) => value.length)).toEqual(
        Array(3).fill(5 * 1024 * 1024)
      )
    }))

  onMemory("answers a pipeline in order, with any bytes in keys and values", () =>
    Effect.gen(function* () {
      const { pipeline } = yield* connect
      const keys = Array.from({ length: 256 }, (_, i) => Uint8Array.of(i, 13, 10))
      yield* pipeline(keys.map((key) => ["SET", key, key]))
      expect(yield* pipeline(keys.map((key) => ["GET", key]))).toEqual(keys)
    }))

  onMemory("answers all that came before the end of a half-closed client", () =>
    Effect.gen(function* () {
      expect(yield* answer("PING\r\nSET a b", "\r\nGET a\r\n")).toBe("+PONG\r\n+OK\r\n$1\r\nb\r\n")
    }))

  onMemory("does nothing after QUIT", () =>
    Effect.gen(function* () {
      const address = yield* serve()
      const connection = yield* Net.connect(address)
      yield* connection.write("SET a 1\r\nQUIT\r\nSET a 2\r\n")
      expect(ascii(concat([...yield* Stream.runCollect(connection.stream)]))).toBe("+OK\r\n+OK\r\n")
      const { command } = yield* RespClient.connect(address)
      expect(yield* command("GET", "a")).toEqual(utf8("1"))
    }))

  onMemory("says what is wrong with bytes that are no command, and closes", () =>
    Effect.gen(function* () {
      expect(yield* answer("PING\r\n*1\r\n$9223372036854775808\r\n")).toBe(
        "+PONG\r\n-ERR Protocol error: invalid bulk length\r\n"
      )
      expect(yield* answer("*1\r\n$9000000\r\n")).toBe("-ERR Protocol error: too big a command\r\n")
      expect(yield* answer("*1\r\n$9\r\nPI")).toBe("-ERR Protocol error: incomplete command\r\n")
      expect(yield* answer("x".repeat(100_000))).toBe("-ERR Protocol error: too big inline request\r\n")
    }))

  onMemory(
    "the client fails with an error reply, and with the end of the server's replies",
    () =>
      Effect.gen(function* () {
        const { command } = yield* connect
        expect(yield* Effect.flip(command("INCR"))).toBeInstanceOf(Resp.RespError)
        expect(yield* command("QUIT")).toEqual(Resp.OK)
        expect(Option.isSome(yield* Effect.option(command("PING")))).toBe(false)
      })
  )
})
