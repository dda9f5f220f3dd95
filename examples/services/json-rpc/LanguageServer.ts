/**
 * A small language server: it knows the texts that are opened, and tells how often the word under the cursor is in
 * them.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { FramedServer } from "effect-netkit"
import * as JsonRpc from "./JsonRpc.ts"

const Opened = Schema.Struct({ textDocument: Schema.Struct({ uri: Schema.String, text: Schema.String }) })
const Position = Schema.Struct({
  textDocument: Schema.Struct({ uri: Schema.String }),
  position: Schema.Struct({ line: Schema.NonNegativeInt, character: Schema.NonNegativeInt })
})

/** The methods of one session, with what was opened in it. */
const methods = () => {
  const texts = new Map<string, string>()
  let state: "new" | "running" | "shut down" = "new"

  const running = <A, I>(params: Schema.Schema<A, I>, run: (params: A) => unknown) =>
    JsonRpc.method(
      params,
      (params) =>
        state === "running"
          ? Effect.sync(() => run(params))
          : Effect.fail(state === "new" ? notInitialized : JsonRpc.invalidRequest("the server is shut down"))
    )

  return {
    initialize: () =>
      Effect.sync(() => {
        state = "running"
        return { capabilities: { textDocumentSync: 1, hoverProvider: true }, serverInfo: { name: "netkit" } }
      }),
    initialized: () => Effect.void,
    "textDocument/didOpen": running(Opened, ({ textDocument }) => void texts.set(textDocument.uri, textDocument.text)),
    "textDocument/hover": running(Position, ({ position, textDocument }) => {
      const text = texts.get(textDocument.uri) ?? ""
      const word = wordAt(text.split(/\r?\n/)[position.line] ?? "", position.character)
      return word === undefined ? null : { contents: `${word}: ${count(text, word)} times` }
    }),
    shutdown: running(Schema.Unknown, () => {
      state = "shut down"
      return null
    }),
    exit: () => FramedServer.end
  }
}

const notInitialized = new JsonRpc.RpcError({ code: -32002, message: "initialize comes first" })

const wordAt = (line: string, character: number): string | undefined =>
  [...line.matchAll(/\w+/g)].find(({ 0: word, index }) => index <= character && character < index + word.length)?.[0]

const count = (text: string, word: string): number => text.match(new RegExp(`\\b${word}\\b`, "g"))?.length ?? 0

/** To give to `Server.make`. */
export const handler = FramedServer.handler({
  codec: JsonRpc.server,
  handler: () => JsonRpc.dispatch(methods())
})
