/**
 * Copies a file or a folder to or from another machine (T4 2.2), with its permissions and with progress.
 * Both directions shown:  npm run -s example -- remote-copy
 * The server first:       npm run -s example -- remote-copy --listen --root /tmp/shared --port 7788
 * then a copy to it:      npm run -s example -- remote-copy push docs docs-copy --port 7788
 * or from it:             npm run -s example -- remote-copy pull docs-copy . --port 7788
 *
 * The protocol: messages are JSON after their length in 4 bytes. The client asks with Push or Pull. Who has the files sends an
 * Offer, each Folder before what is in it, each File followed by its bytes, and End; the other answers Done. Either may say Failed.
 */
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as Console from "effect/Console"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { identity } from "effect/Function"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { type Connection, Framed, Framing, Net, Server, type SocketAddress } from "effect-netkit"
import * as Flags from "../lib/Flags.ts"
import { printable, within } from "../lib/Folder.ts"
import { serverAddress } from "../lib/Keyboard.ts"
import * as Platform from "../lib/Platform.ts"
import { run } from "../lib/Program.ts"
import { showProgress } from "../lib/Progress.ts"
import { announced, listening, serve } from "../lib/Sessions.ts"

// --- the protocol ---

const permissions = Schema.Int.pipe(Schema.between(0, 0o777))
const counts = { files: Schema.NonNegativeInt, folders: Schema.NonNegativeInt, bytes: Schema.NonNegativeInt }

const Push = Schema.TaggedStruct("Push", { path: Schema.String })
const Pull = Schema.TaggedStruct("Pull", { path: Schema.String })
const Offer = Schema.TaggedStruct("Offer", { name: Schema.String, bytes: Schema.NonNegativeInt })
const Folder = Schema.TaggedStruct("Folder", { path: Schema.String, mode: permissions })
const File = Schema.TaggedStruct("File", { path: Schema.String, mode: permissions, size: Schema.NonNegativeInt })
const Skipped = Schema.TaggedStruct("Skipped", { path: Schema.String })
const End = Schema.TaggedStruct("End", {})
const Done = Schema.TaggedStruct("Done", counts)
const Failed = Schema.TaggedStruct("Failed", { reason: Schema.String })

const Message = Schema.Union(Push, Pull, Offer, Folder, File, Skipped, End, Done, Failed)
type Message = typeof Message.Type
type Entry = typeof Folder.Type | typeof File.Type | typeof Skipped.Type

const codec = Framing.lengthPrefixed().pipe(Framing.json, Framing.schema(Message))

class RemoteFailure extends Data.TaggedError("RemoteFailure")<{ readonly reason: string }> {
  override get message(): string {
    return `the other side says: ${printable(this.reason)}`
  }
}

class BrokenOff extends Data.TaggedError("BrokenOff") {
  override get message(): string {
    return "the other side ended the connection before the copy was complete"
  }
}

const say = (connection: Connection.Connection, message: Message) => Framed.make(connection, codec).send(message)

/** The next message, of the kinds that may come now. What follows it stays with the connection: it may be the bytes of a file. */
const hear = <Tag extends Message["_tag"]>(connection: Connection.Connection, ...expected: ReadonlyArray<Tag>) =>
  Effect.gen(function* () {
    const framed = Framed.make(connection, codec)
    const message = Option.getOrUndefined(yield* framed.receive)
    yield* framed.unwrap
    if (message === undefined) return yield* new BrokenOff()
    if (message._tag === "Failed") return yield* new RemoteFailure(message)
    const isExpected = (message: Message): message is Extract<Message, { readonly _tag: Tag }> =>
      expected.some((tag) => tag === message._tag)
    return isExpected(message) ? message : yield* new RemoteFailure({ reason: `${message._tag}, out of turn` })
  })

// --- sending ---

/** A folder before what is in it. Links are not followed: they may lead out of the tree, or into it again. */
const walk = (source: string, path = ""): Effect.Effect<Array<Entry>, PlatformError, FileSystem.FileSystem> =>
  Effect.gen(function* () {
    const files = yield* FileSystem.FileSystem
    const at = path === "" ? source : `${source}/${path}`
    const isLink = path !== "" && Option.isSome(yield* Effect.option(files.readLink(at)))
    const info = isLink ? undefined : yield* files.stat(at)
    const mode = (info?.mode ?? 0) & 0o777
    if (info?.type === "File") return [File.make({ path, mode, size: Number(info.size) })]
    if (info?.type !== "Directory") return [Skipped.make({ path })]
    const names = (yield* files.readDirectory(at)).sort()
    const inside = yield* Effect.forEach(names, (name) => walk(source, path === "" ? name : `${path}/${name}`))
    return [Folder.make({ path, mode }), ...inside.flat()]
  })

type PlatformError = Effect.Effect.Error<ReturnType<FileSystem.FileSystem["stat"]>>

/** Draws a transfer of so many bytes; a server draws nothing. */
type Drawing = (total: number) => <A, E, R>(transfer: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>

const drawn = (connection: Connection.Connection, count: "bytesRead" | "bytesWritten"): Drawing => (total) =>
  showProgress(Effect.map(connection.stats, (stats) => Math.min(stats[count], total)), total)

/** Sends what `walk` has found in `source`, and waits until the other side has all of it. */
const sendTree = (
  connection: Connection.Connection,
  source: string,
  entries: ReadonlyArray<Entry>,
  draw: Drawing
) =>
  Effect.gen(function* () {
    const path = yield* Path.Path
    const bytes = entries.reduce((sum, entry) => sum + (entry._tag === "File" ? entry.size : 0), 0)
    const sending = Effect.gen(function* () {
      yield* say(connection, Offer.make({ name: path.basename(path.resolve(source)), bytes }))
      for (const entry of entries) {
        yield* say(connection, entry)
        if (entry._tag === "Skipped") yield* skipped(entry)
        if (entry._tag === "File") {
          yield* Net.sendFile(connection, path.join(source, entry.path), { length: entry.size })
        }
      }
      yield* say(connection, End.make({}))
      return yield* Effect.never
    })
    // What the other side has to say may come at any time, that its disk is full for one; if it is gone, this tells why.
    const toTheEnd = Effect.catchTag(sending, "ConnectionReset", "BrokenPipe", () => Effect.never)
    return yield* draw(bytes)(Effect.raceFirst(toTheEnd, hear(connection, "Done")))
  })

const skipped = ({ path }: { readonly path: string }) =>
  Console.log(`skipped: ${printable(path)}: neither a file nor a folder`)

// --- receiving ---

/** Receives into `at`, or under its own name into the folder that is there already. */
const receiveTree = (connection: Connection.Connection, at: string, draw: Drawing) =>
  Effect.gen(function* () {
    const files = yield* FileSystem.FileSystem
    const { dirname } = yield* Path.Path
    const { bytes, name } = yield* hear(connection, "Offer")
    const exists = yield* Effect.option(files.stat(at))
    const target = Option.isSome(exists) && exists.value.type === "Directory" ? yield* within(at, name) : at
    yield* files.makeDirectory(dirname(target), { recursive: true })
    const done = yield* draw(bytes)(receiveEntries(connection, target))
    yield* say(connection, done)
    return done
  }).pipe(telling(connection))

const receiveEntries = (connection: Connection.Connection, target: string) =>
  Effect.gen(function* () {
    const files = yield* FileSystem.FileSystem
    const folders: Array<{ readonly at: string; readonly mode: number }> = []
    let count = 0
    let bytes = 0
    while (true) {
      const entry = yield* hear(connection, "Folder", "File", "Skipped", "End")
      if (entry._tag === "End") break
      if (entry._tag === "Skipped") {
        yield* skipped(entry)
        continue
      }
      // Names come from elsewhere, and a link that was here before may lead anywhere.
      const at = entry.path === "" ? target : yield* within(target, entry.path)
      if (entry._tag === "Folder") {
        yield* files.makeDirectory(at, { recursive: true, mode: 0o700 })
        folders.push({ at, mode: entry.mode })
      } else {
        bytes += yield* Net.receiveFile(connection, at, { length: entry.size, mode: entry.mode })
        count++
      }
    }
    // Last, and from the inside: a folder may forbid to write into it.
    yield* Effect.forEach(folders.reverse(), ({ at, mode }) => files.chmod(at, mode), { discard: true })
    return Done.make({ files: count, folders: folders.length, bytes })
  })

/** Tells the other side why this one gives up. Not while it sends: in the middle of a file that would be taken for bytes of it. */
const telling = (connection: Connection.Connection) => <A, E extends Error, R>(self: Effect.Effect<A, E, R>) =>
  Effect.tapError(
    self,
    (error) =>
      error instanceof RemoteFailure
        ? Effect.void
        : Effect.ignore(say(connection, Failed.make({ reason: error.message })))
  )

const summary = ({ bytes, files, folders }: typeof Done.Type) => `${files} files, ${folders} folders, ${bytes} bytes`

// --- server and client ---

const serveRequest = (connection: Connection.Connection, root: string) =>
  Effect.gen(function* () {
    const { _tag, path } = yield* hear(connection, "Push", "Pull")
    const at = yield* telling(connection)(within(root, path))
    if (_tag === "Push") return ["received", path, yield* receiveTree(connection, at, () => identity)] as const
    const entries = yield* telling(connection)(walk(at))
    return ["sent", path, yield* sendTree(connection, at, entries, () => identity)] as const
  })

const session = (root: string) =>
  announced((connection) =>
    serveRequest(connection, root).pipe(
      Effect.match({
        onSuccess: ([what, path, done]) => `${what} ${printable(path)}: ${summary(done)}`,
        onFailure: (error) => error._tag === "Refused" ? error.message : `broken off: ${error.message}`
      }),
      Effect.flatMap(Console.log)
    )
  )

const server = (root: string, options: Parameters<typeof listening>[0]) =>
  Server.make({ ...listening(options), handler: session(root) })

interface Order {
  readonly verb: "push" | "pull"
  readonly from: string
  readonly to: string
}

const push = (from: string, to: string, address: SocketAddress.AddressInput) =>
  Effect.gen(function* () {
    const entries = yield* walk(from)
    const connection = yield* Net.connect(address)
    yield* say(connection, Push.make({ path: to }))
    return yield* sendTree(connection, from, entries, drawn(connection, "bytesWritten"))
  })

const pull = (from: string, to: string, address: SocketAddress.AddressInput) =>
  Effect.gen(function* () {
    const connection = yield* Net.connect(address)
    yield* say(connection, Pull.make({ path: from }))
    return yield* receiveTree(connection, to, drawn(connection, "bytesRead"))
  })

const copy = ({ from, to, verb }: Order, address: SocketAddress.AddressInput) =>
  Effect.gen(function* () {
    const done = yield* (verb === "push" ? push : pull)(from, to, address)
    yield* Console.log(`${verb}: ${summary(done)}: ${from} -> ${to}`)
  }).pipe(Effect.scoped)

/** A folder is pushed to a server and pulled back from it. */
const both = Effect.gen(function* () {
  const files = yield* FileSystem.FileSystem
  const folder = yield* files.makeTempDirectoryScoped({ prefix: "remote-copy-" })
  const original = `${folder}/original`
  yield* files.makeDirectory(`${original}/empty`, { recursive: true })
  yield* files.makeDirectory(`${folder}/root`)
  yield* files.writeFile(`${original}/large`, new Uint8Array(20_000_000).map((_, index) => index % 251))
  yield* files.writeFileString(`${original}/script.sh`, "#!/bin/sh\n", { mode: 0o755 })
  const { address } = yield* server(`${folder}/root`, { host: "127.0.0.1", port: 0, backlog: 128 }).serve
  yield* copy({ verb: "push", from: original, to: "copy" }, address)
  yield* copy({ verb: "pull", from: "copy", to: `${folder}/back` }, address)
  const isSame = JSON.stringify(yield* walk(original)) === JSON.stringify(yield* walk(`${folder}/back`))
  yield* Console.log(`names, sizes and permissions are the same: ${isSame ? "yes" : "no"}`)
})

const order = (words: ReadonlyArray<string>): Either.Either<Order | undefined, string> => {
  const [verb, from, to] = words
  if (verb === undefined) return Either.right(undefined)
  const isOrder = (verb === "push" || verb === "pull") && words.length === 3
  return isOrder ? Either.right({ verb, from: from!, to: to! }) : Either.left("push SRC DST or pull SRC DST")
}

const flags = {
  ...Flags.client,
  listen: Flags.toggle("is the server"),
  root: Flags.withDefault("folder", "what the server reads and writes is in it", Flags.folder, "."),
  copy: Flags.words("push SRC DST, or pull SRC DST; DST may be a folder to copy into", order)
}

run(import.meta.url, flags, ({ copy: order, host, listen, port, root }) =>
  Effect.gen(function* () {
    if (listen) yield* serve(server(root, { host: host ?? "127.0.0.1", port: port ?? 7788, backlog: 128 }))
    else if (order === undefined) yield* both
    else yield* copy(order, yield* serverAddress({ host, port }))
  }).pipe(Effect.provide(Platform.context)))
