/**
 * A robot that answers by rules (T4 3.1): hello, name, time, and an apology for everything else.
 * This server first:  npm run -s example -- robot-server --port 7788
 * then its clients:   npm run -s example -- robot-client --port 7788
 */
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { Server } from "effect-netkit"
import * as Flags from "../lib/Flags.ts"
import { run } from "../lib/Program.ts"
import { announced, listening, serve } from "../lib/Sessions.ts"
import { encode, messages } from "../lib/Text.ts"

const flags = {
  ...Flags.server,
  name: Flags.withDefault("text", "what the robot is called", Flags.text, "小智"),
  framing: Flags.framing,
  encoding: Flags.encoding
}

/** YYYY-MM-DD HH:MM:SS */
const localTime = (): string => {
  const now = new Date()
  const local = new Date(now.getTime() - now.getTimezoneOffset() * 60_000)
  return local.toISOString().slice(0, 19).replace("T", " ")
}

/** The first rule that matches answers. */
const answering = (name: string) => {
  const rules: ReadonlyArray<readonly [pattern: RegExp, answer: () => string]> = [
    [/你好|hello/i, () => "你好"],
    [/名字|name/i, () => name],
    [/时间|time/i, localTime],
    [/^/, () => "对不起，我听不懂"]
  ]
  return (text: string): string => rules.find(([pattern]) => pattern.test(text))![1]()
}

run(import.meta.url, flags, ({ encoding, framing, name, ...server }) =>
  Effect.gen(function* () {
    // One that cannot be sent fails now, not in every chat.
    yield* encode(name, encoding)
    const answer = answering(name)
    yield* serve(Server.make({
      ...listening(server),
      handler: announced((connection) => {
        const { incoming, send } = messages(connection, encoding, framing)
        return Stream.runForEach(
          incoming,
          (text) => Effect.zipRight(Console.log(`received: ${text}`), send(answer(text)))
        )
      })
    }))
  }))
