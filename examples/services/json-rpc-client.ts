/**
 * A client of a language server: opens a text, asks about a word in it, and says good-bye.
 * The server first:  npm run -s example -- json-rpc-server --port 7788
 * then this client:  npm run -s example -- json-rpc-client --port 7788 --text "to be or not to be"
 */
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import { Net } from "effect-netkit"
import * as Flags from "../lib/Flags.ts"
import { serverAddress } from "../lib/Keyboard.ts"
import { run } from "../lib/Program.ts"
import * as RpcClient from "./json-rpc/RpcClient.ts"

const flags = {
  ...Flags.client,
  text: Flags.withDefault("text", "the text to ask about", Flags.text, "to be or not to be"),
  at: Flags.withDefault("count", "the character to ask about, from 1", Flags.count, 1)
}

const uri = "memory:example"

run(import.meta.url, flags, ({ at, text, ...server }) =>
  Effect.gen(function* () {
    const connection = yield* Net.connect(yield* serverAddress(server))
    const { call, notify } = yield* RpcClient.make(connection)
    const show = (what: string) => (result: unknown) => Console.log(`${what}: ${JSON.stringify(result)}`)

    yield* Effect.flatMap(call("initialize", { capabilities: {} }), show("initialize"))
    yield* notify("textDocument/didOpen", { textDocument: { uri, text } })
    const position = { line: 0, character: at - 1 }
    yield* Effect.flatMap(call("textDocument/hover", { textDocument: { uri }, position }), show("hover"))
    yield* Effect.flatMap(call("shutdown"), show("shutdown"))
    yield* notify("exit")
  }).pipe(Effect.catchTag("UnexpectedEnd", () => Console.log("peer closed the connection"))))
