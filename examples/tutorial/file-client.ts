/**
 * A client that fetches a file (T0 4.5, T4 2.7): sends its name, saves what comes under a name of its own.
 * The server first:  npm run -s example -- file-server --port 7788 --root .
 * then this client:  npm run -s example -- file-client --port 7788 --file README.md --dir /tmp
 */
import * as Path from "@effect/platform/Path"
import * as Console from "effect/Console"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import { Framed, Net } from "effect-netkit"
import * as Flags from "../lib/Flags.ts"
import { printable } from "../lib/Folder.ts"
import { ask, serverAddress } from "../lib/Keyboard.ts"
import * as Platform from "../lib/Platform.ts"
import { run } from "../lib/Program.ts"
import { showProgress } from "../lib/Progress.ts"
import { encode } from "../lib/Text.ts"

const flags = {
  ...Flags.client,
  file: Flags.optional("name", "the file to fetch; asked if missing", Flags.fileName),
  dir: Flags.withDefault("folder", "where to save it", Flags.folder, "."),
  prefix: Flags.withDefault("text", "what its name begins with here", Flags.partOfName, "[接收]"),
  encoding: Flags.encoding
}

class NothingSent extends Data.TaggedError("NothingSent")<{ readonly name: string }> {
  override get message(): string {
    return `${printable(this.name)}: the server sent nothing; it has no such file, or an empty one`
  }
}

run(import.meta.url, flags, ({ dir, encoding, file, prefix, ...server }) =>
  Effect.gen(function* () {
    const { join } = yield* Path.Path
    const address = yield* serverAddress(server)
    const name = file ?? (yield* ask("file name: ", Flags.fileName))
    const request = yield* encode(name, encoding)

    const connection = yield* Net.connect(address)
    yield* connection.write(request)
    const [first] = yield* Framed.peek(connection, 1)
    if (first === undefined) return yield* new NothingSent({ name })
    const path = join(dir, prefix + Flags.baseName(name))
    const received = Effect.map(connection.stats, ({ bytesRead }) => bytesRead)
    const size = yield* showProgress(received)(Net.receiveFile(connection, path))
    yield* Console.log(`saved ${size} bytes to ${path}`)
  }).pipe(Effect.provide(Platform.context)))
