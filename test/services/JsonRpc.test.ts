/**
 * JSON-RPC with a `Content-Length` header: the codec, the errors of the specification, a session of a language server,
 * and answers that come in another order than their calls.
 */
import { describe, expect, it } from "@effect/vitest"
import { Effect, Fiber, type Scope, Stream } from "effect"
import { Framed, FramedServer, Framing, Net, type Network, Server } from "effect-netkit"
import { MemoryNetwork } from "effect-netkit/memory"
import * as fc from "fast-check"
import * as JsonRpc from "../../examples/services/json-rpc/JsonRpc.ts"
import * as LanguageServer from "../../examples/services/json-rpc/LanguageServer.ts"
import * as RpcClient from "../../examples/services/json-rpc/RpcClient.ts"
import { cuts, decode, encode, utf8 } from "../support/frames.ts"

describe("the header", () => {
  it("frames any payloads however the bytes are cut", () => {
    const payload = fc.uint8Array({ maxLength: 200 }).map((bytes) => Uint8Array.from(bytes))
    fc.assert(fc.property(fc.array(payload, { maxLength: 6 }), cuts, (payloads, cut) => {
      const { error, frames } = decode(JsonRpc.contentLength, cut(encode(JsonRpc.contentLength, ...payloads)))
      expect(error).toBeUndefined()
      expect(frames).toEqual(payloads)
    }))
  })

  it("may have other fields, in any case", () => {
    const { frames } = decode(JsonRpc.contentLength, [
      utf8("Content-Type: application/vscode-jsonrpc; charset=utf-8\r\ncontent-length:2\r\n\r\n{}")
    ])
    expect(frames).toEqual([utf8("{}")])
  })

  it.each([
    ["FrameMalformed", "Content-Type: x\r\n\r\n"],
    ["FrameMalformed", "Content-Length: -1\r\n\r\n"],
    ["FrameMalformed", "Content-Length: 1e3\r\n\r\n"],
    ["FrameMalformed", "x".repeat(9000)],
    ["FrameTooLarge", `Content-Length: ${2n ** 63n}\r\n\r\n`],
    ["FrameTooLarge", `Content-Length: ${"9".repeat(400)}\r\n\r\n`]
  ])("is refused as %s: %#", (tag, text) => {
    expect(decode(JsonRpc.contentLength, [utf8(text)], false).error?._tag).toBe(tag)
  })
})

const onMemory = <A, E>(name: string, effect: () => Effect.Effect<A, E, Scope.Scope | Network.Network>) =>
  it.scoped(name, () => Effect.provide(effect(), MemoryNetwork.layer))

const listen = Effect.map(
  Server.serve(Server.make({ listen: { port: 0 }, handler: LanguageServer.handler })),
  ({ address }) => address
)

const client = Effect.flatMap(Effect.flatMap(listen, Net.connect), RpcClient.make)

const errorOf = (call: Effect.Effect<unknown, unknown>) =>
  Effect.map(Effect.flip(call), (error) => (error as JsonRpc.RpcError).code)

const uri = "memory:test"

describe("the server", () => {
  onMemory("answers what is no call with the errors of the specification, and goes on", () =>
    Effect.gen(function* () {
      const session = Framed.make(
        yield* Effect.flatMap(listen, Net.connect),
        JsonRpc.contentLength.pipe(Framing.text())
      )
      const ask = (text: string) => Effect.map(session.request(text), (answer) => JSON.parse(answer))
      expect(yield* ask('{"jsonrpc": "2.0", "method"')).toMatchObject({ id: null, error: { code: -32700 } })
      expect(yield* ask("1")).toMatchObject({ id: null, error: { code: -32600 } })
      expect(yield* ask('{"jsonrpc":"2.0","method":1,"id":1}')).toEqual({
        jsonrpc: "2.0",
        id: null,
        error: { code: -32600, message: "method Expected string, actual 1" }
      })
      expect(yield* ask('{"jsonrpc":"2.0","method":"constructor","id":"x"}')).toEqual({
        jsonrpc: "2.0",
        id: "x",
        error: { code: -32601, message: "no method constructor" }
      })
      // Neither the notification nor its error is answered.
      yield* session.send('{"jsonrpc":"2.0","method":"nonsense"}')
      expect(yield* ask('{"jsonrpc":"2.0","method":"initialize","id":2}')).toMatchObject({ id: 2, result: {} })
    }))

  onMemory("serves a session from initialize to exit", () =>
    Effect.gen(function* () {
      const { call, notify } = yield* client
      const hover = (line: number, character: number) =>
        call("textDocument/hover", { textDocument: { uri }, position: { line, character } })
      expect(yield* errorOf(hover(0, 0))).toBe(-32002)
      expect(yield* call("initialize")).toMatchObject({ capabilities: { hoverProvider: true } })
      yield* notify("textDocument/didOpen", { textDocument: { uri, text: "to be\nor not to be, 你好" } })
      expect(yield* hover(1, 8)).toEqual({ contents: "to: 2 times" })
      expect(yield* hover(1, 2)).toBe(null)
      expect(yield* hover(9, 0)).toBe(null)
      expect(yield* errorOf(hover(-1, 0))).toBe(-32602)
      expect(yield* call("shutdown")).toBe(null)
      expect(yield* errorOf(hover(0, 0))).toBe(-32600)
      yield* notify("exit")
      expect(yield* Effect.flip(call("initialize"))).toMatchObject({ _tag: "UnexpectedEnd" })
    }))

  onMemory("closes a connection whose header it cannot read", () =>
    Effect.gen(function* () {
      const connection = yield* Effect.flatMap(listen, Net.connect)
      yield* connection.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
      expect(yield* Stream.runCount(connection.stream)).toBe(0)
    }))
})

const answerTo = ({ id = null, method }: JsonRpc.Call): JsonRpc.Answer => ({ jsonrpc: "2.0", id, result: method })

describe("the client", () => {
  onMemory(
    "matches answers to calls by their id, and drops those that nobody waits for",
    () =>
      Effect.gen(function* () {
        const waiting: Array<JsonRpc.Call> = []
        const backwards = FramedServer.make({
          listen: { port: 0 },
          codec: JsonRpc.client,
          handler: (session) => (message) => {
            if ("method" in message) waiting.push(message)
            if (waiting.length < 3) return
            return Effect.asVoid(session.sendAll(waiting.splice(0).reverse().map(answerTo)))
          }
        })
        const { address } = yield* Server.serve(backwards)
        const { call } = yield* RpcClient.make(yield* Net.connect(address))
        const first = yield* Effect.fork(call("first"))
        yield* Effect.yieldNow()
        yield* Fiber.interrupt(first)
        expect(yield* Effect.all([call("second"), call("third")], { concurrency: 2 })).toEqual(["second", "third"])
      })
  )
})
