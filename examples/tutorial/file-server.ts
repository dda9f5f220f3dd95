/**
 * A server for files (T0 4.5, T4 2.8): a client sends a name, the server streams that file and closes.
 * This server first:  npm run -s example -- file-server --port 7788 --root .
 * then its clients:   npm run -s example -- file-client --port 7788 --file README.md
 */
import * as FileSystem from "@effect/platform/FileSystem"
import * as Console from "effect/Console"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { type Connection, Net, Server } from "effect-netkit"
import * as Flags from "../lib/Flags.ts"
import { printable, within } from "../lib/Folder.ts"
import * as Platform from "../lib/Platform.ts"
import { run } from "../lib/Program.ts"
import { announced, listening, serve } from "../lib/Sessions.ts"
import { type Encoding, receiveText } from "../lib/Text.ts"

const flags = {
  ...Flags.server,
  port: Flags.required("port", "the port to listen on; 0 takes a free one", Flags.port),
  root: Flags.withDefault("folder", "what is in it is served", Flags.folder, "."),
  encoding: Flags.encoding
}

class NoSuchFile extends Data.TaggedError("NoSuchFile") {}

const find = (root: string, name: string) =>
  Effect.gen(function* () {
    const files = yield* FileSystem.FileSystem
    const path = yield* within(root, name)
    const { size, type } = yield* files.stat(path)
    return type === "File" ? { path, size: Number(size) } : yield* new NoSuchFile()
  }).pipe(Effect.catchTag("SystemError", "BadArgument", () => new NoSuchFile()))

/** Streams the file and waits until the client has taken it, however slowly. */
const send = (connection: Connection.Connection, path: string, length: number) =>
  Effect.gen(function* () {
    // In this protocol an end of stream says that the file is whole, so half a file has to end in another way.
    const sent = yield* Effect.tapError(
      Net.sendFile(connection, path, { length }),
      () => Effect.flatMap(connection.stats, ({ bytesWritten }) => bytesWritten > 0 ? connection.reset : Effect.void)
    )
    yield* connection.shutdown
    // Fails where the client goes, or the server: the file has been sent either way.
    yield* Effect.ignore(Stream.runDrain(connection.stream))
    return sent
  })

const session = (root: string, encoding: Encoding) =>
  announced((connection) =>
    Effect.gen(function* () {
      const text = yield* receiveText(connection, encoding)
      if (text === undefined) return
      const name = text.replace(/\r?\n?$/, "")
      const outcome = yield* find(root, name).pipe(
        Effect.flatMap(({ path, size }) => send(connection, path, size)),
        Effect.match({
          onSuccess: (sent) => `sent ${sent} bytes of`,
          onFailure: (error) => {
            if (error._tag === "Refused") return "refused:"
            return error._tag === "NoSuchFile" ? "no such file:" : `broken off (${error.message}):`
          }
        })
      )
      yield* Console.log(`${outcome} ${printable(name)}`)
    })
  )

run(import.meta.url, flags, ({ encoding, root, ...server }) =>
  serve(Server.make({
    ...listening(server),
    resettable: true,
    handler: session(root, encoding)
  })).pipe(Effect.provide(Platform.context)))
