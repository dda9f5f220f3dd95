/**
 * A client for resp-server, or for Redis itself: one command a line, each reply printed as redis-cli does.
 * The server first:  npm run -s example -- resp-server --port 6379
 * then this client:  echo 'SET name "Ada Lovelace"' | npm run -s example -- resp-client --port 6379
 */
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as Flags from "../lib/Flags.ts"
import { Keyboard, serverAddress } from "../lib/Keyboard.ts"
import { run } from "../lib/Program.ts"
import * as Resp from "./resp/Resp.ts"
import * as RespClient from "./resp/RespClient.ts"

/** Commands that may be under way at once; their replies are printed in order. */
const pipelined = 100

run(import.meta.url, Flags.client, (flags) =>
  Effect.gen(function* () {
    const client = yield* RespClient.connect(yield* serverAddress(flags))
    const line = yield* Keyboard
    yield* Stream.repeatEffectOption(Effect.mapError(line, Option.none)).pipe(
      Stream.map(words),
      Stream.filter((words) => words.length > 0),
      Stream.mapEffect((words) => client.command(...words).pipe(Effect.catchTag("RespError", Effect.succeed)), {
        concurrency: pipelined
      }),
      Stream.runForEach((reply) => Console.log(show(reply))),
      Effect.catchTag("UnexpectedEnd", () => Console.log("peer closed the connection"))
    )
  }))

/** The words of a line; in double quotes they may hold blanks. */
const words = (line: string): ReadonlyArray<string> =>
  Array.from(line.matchAll(/"((?:\\.|[^"\\])*)"|\S+/g), ([word, quoted]) => quoted?.replace(/\\(.)/g, "$1") ?? word)

const decoder = new TextDecoder()

const show = (reply: Resp.Reply, indent = ""): string => {
  if (reply === null) return "(nil)"
  if (reply instanceof Resp.Simple) return reply.text
  if (reply instanceof Resp.RespError) return `(error) ${reply.message}`
  if (reply instanceof Uint8Array) return JSON.stringify(decoder.decode(reply))
  if (typeof reply !== "object") return typeof reply === "string" ? JSON.stringify(reply) : `(integer) ${reply}`
  if (reply.length === 0) return "(empty array)"
  return reply.map((item, i) => `${i === 0 ? "" : indent}${i + 1}) ${show(item, `${indent}   `)}`).join("\n")
}
