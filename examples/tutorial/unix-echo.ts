/**
 * Echo over a Unix domain socket (T3): the same sockets between processes of one machine, with a path for an address.
 * Both halves run here:  npm run -s example -- unix-echo
 * The server first:      npm run -s example -- unix-echo --listen --path /tmp/echo.sock
 * then its client:       npm run -s example -- unix-echo --path /tmp/echo.sock
 */
import * as FileSystem from "@effect/platform/FileSystem"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Stream from "effect/Stream"
import { Net, Server, SocketAddress } from "effect-netkit"
import { takeTurns } from "../lib/Conversation.ts"
import * as Flags from "../lib/Flags.ts"
import { ask } from "../lib/Keyboard.ts"
import * as Platform from "../lib/Platform.ts"
import { run } from "../lib/Program.ts"
import { messages } from "../lib/Text.ts"

const path: Flags.Parser<string> = (text) =>
  SocketAddress.fromInput({ path: text }).pipe(Either.mapBoth({
    onLeft: (error) => error.expected,
    onRight: () => text
  }))

const flags = {
  listen: Flags.toggle("is the server"),
  path: Flags.optional("path", "the socket; without it a new one in the temporary folder", path)
}

const server = (path: string) =>
  Server.make({
    listen: { path },
    drainTimeout: "2 seconds",
    closeTimeout: "2 seconds",
    handler: (connection) =>
      Effect.gen(function* () {
        yield* Stream.runForEach(connection.stream, connection.write)
        yield* connection.shutdown
        yield* connection.closed
      })
  })

/** Takes over what a killed server has left of the path; closing removes it. */
const listen = (path: string) => Effect.zipRight(server(path).serve, Console.log(`listening on ${path}`))

const client = (path: string) =>
  Effect.gen(function* () {
    const connection = yield* Net.connect({ path })
    const line = ask("text to send: ", Flags.text)
    yield* takeTurns(messages(connection, "utf-8", "raw"), (say) => Effect.forever(Effect.flatMap(line, say)))
  })

/** Client and server in one. */
const both = (path: string) =>
  Effect.gen(function* () {
    yield* listen(path)
    const connection = yield* Net.connect({ path })
    for (const text of ["hello", "from the same machine"]) {
      yield* connection.write(text)
      const bytes = yield* connection.readExactly(text.length)
      yield* Console.log(`${text} -> ${new TextDecoder().decode(bytes)}`)
    }
  })

const temporaryPath = Effect.gen(function* () {
  const files = yield* FileSystem.FileSystem
  return `${yield* files.makeTempDirectoryScoped({ prefix: "unix-echo-" })}/echo.sock`
})

run(import.meta.url, flags, (values) =>
  Effect.gen(function* () {
    const path = values.path ?? (yield* temporaryPath)
    if (values.listen) return yield* Effect.zipRight(listen(path), Effect.never)
    return yield* values.path === undefined ? both(path) : client(path)
  }).pipe(Effect.provide(Platform.context)))
