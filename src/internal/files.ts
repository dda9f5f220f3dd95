/**
 * Files and connections: a file streamed into a connection, and what a connection brings streamed into a file.
 * One chunk is in hand at a time, whatever the size. The platform's services are asked for by their keys: loading the modules of
 * @effect/platform would cost every program that opens a socket 40 ms (200 under Node) of its start, for schemas that none of this needs.
 */
import type * as PlatformError from "@effect/platform/Error"
import type * as FileSystem from "@effect/platform/FileSystem"
import type * as Path from "@effect/platform/Path"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import type { Connection, ConnectionStats } from "../Connection.ts"
import * as NetError from "../NetError.ts"
import * as Options from "./options.ts"

const FileSystemTag = Context.GenericTag<FileSystem.FileSystem>("@effect/platform/FileSystem")
const PathTag = Context.GenericTag<Path.Path>("@effect/platform/Path")

/**
 * Which part of a file to send, and how.
 *
 * @category options
 */
export interface SendFileOptions {
  /** The first byte to send. Default 0. */
  readonly offset?: number | undefined
  /** How many bytes are promised to the peer: a file that has fewer is a failure. Without it, all up to the end of the file. */
  readonly length?: number | undefined
  /** Bytes read at a time. Default 64 KiB; 256 KiB take half the CPU time on Deno, whose file reads are dear. */
  readonly chunkSize?: number | undefined
}

/**
 * Streams a file, or a part of it, into a connection, and gives the number of bytes sent. It keeps to the peer's pace and holds one chunk at a
 * time beside the connection's `writeBuffer`, so a large file takes no more memory than a small one. Does not shut down at the end.
 *
 * Fails with `InvalidOption` where there is no regular file (a folder, a pipe), with `FileTruncated` if the file ends before the `length` that was
 * promised. The peer cannot tell a failure in mid-file from an end: tell it, or `reset` the connection. Interruption closes the file.
 *
 * @example
 * ```ts
 * import { Net, Server } from "effect-netkit"
 *
 * const server = Server.make({
 *   listen: { host: "127.0.0.1", port: 7788 },
 *   handler: (connection) => Net.sendFile(connection, "/usr/share/dict/words")
 * })
 * ```
 *
 * @category files
 */
export const sendFile = (
  connection: Connection,
  path: string,
  options: SendFileOptions = {}
): Effect.Effect<
  number,
  PlatformError.PlatformError | NetError.WriteError | NetError.InvalidOption | NetError.FileTruncated,
  FileSystem.FileSystem
> =>
  Effect.scoped(Effect.gen(function* () {
    const { chunkSize, length, offset } = yield* Options.valid(() => resolveSend(options))
    const files = yield* FileSystemTag
    // Before it is opened: to open a pipe is to wait for its writer.
    yield* expectFile(path, yield* files.stat(path))
    const file = yield* files.open(path)
    yield* file.seek(offset, "start")
    const buffers = new Buffers(chunkSize)
    let sent = 0
    const next = (stats: ConnectionStats): Effect.Effect<
      number,
      PlatformError.PlatformError | NetError.WriteError | NetError.FileTruncated
    > => {
      const wanted = Math.min(chunkSize, length - sent)
      if (wanted === 0) return Effect.succeed(sent)
      const buffer = buffers.take(stats)
      // The runtime goes on with a read that was begun, so the file must not be closed under it.
      return Effect.flatMap(Effect.uninterruptible(file.read(buffer.subarray(0, wanted))), (read) => {
        const size = Number(read)
        if (size === 0) {
          return length === Infinity
            ? Effect.succeed(sent)
            : Effect.fail(new NetError.FileTruncated({ path, sent, expected: length }))
        }
        sent += size
        return Effect.zipRight(
          connection.write(buffer.subarray(0, size)),
          Effect.flatMap(connection.stats, (stats) => {
            buffers.written(buffer, stats)
            return next(stats)
          })
        )
      })
    }
    return yield* Effect.flatMap(connection.stats, next)
  }))

/**
 * Buffers that are used again once the kernel has taken what was in them, which the connection's figures tell. With a new one for
 * every chunk, collecting the garbage would take Node twice the time that the sending takes.
 */
class Buffers {
  readonly #size: number
  readonly #used: Array<{ readonly buffer: Uint8Array; readonly end: number }> = []

  constructor(size: number) {
    this.#size = size
  }

  take({ bytesWritten, unsent }: ConnectionStats): Uint8Array {
    const first = this.#used[0]
    if (first === undefined || first.end > bytesWritten - unsent) return new Uint8Array(this.#size)
    this.#used.shift()
    return first.buffer
  }

  /** What the buffer holds was accepted, so it has left once all has that was accepted up to now. */
  written(buffer: Uint8Array, { bytesWritten }: ConnectionStats): void {
    this.#used.push({ buffer, end: bytesWritten })
  }
}

const bytes = "a number of bytes"

const resolveSend = ({ chunkSize, length, offset }: SendFileOptions) => ({
  offset: Options.whole("offset", offset, 0, 0, bytes),
  length: Options.whole("length", length, Infinity, 0, bytes),
  chunkSize: Options.whole("chunkSize", chunkSize, 65536, 1, "a number of bytes from 1")
})

const expectFile = (path: string, { type }: FileSystem.File.Info) =>
  type === "File"
    ? Effect.void
    : Effect.fail(new NetError.InvalidOption({ option: "path", value: path, expected: "a regular file" }))

/**
 * How much to receive into a file, and what becomes of it.
 *
 * @category options
 */
export interface ReceiveFileOptions {
  /** How many bytes the file has; what follows them is left to be read. Without it, all up to the peer's end of stream. */
  readonly length?: number | undefined
  /** The permissions of the file, whatever the umask: `0o640`. Default: the system's for new files. */
  readonly mode?: number | undefined
}

/**
 * Streams what a connection brings into a file, and gives the number of bytes received. A slow disk slows the peer down; memory stays at
 * the connection's `readBuffer`. The file has its name only when it is whole and on the disk (fsync): until then it is a temporary one in the same
 * folder (`.*.part`), removed on failure and interruption, so a file that was there before survives a broken transfer. Only a killed process leaves it.
 *
 * Fails with `UnexpectedEnd` if the stream ends before `length`.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Net } from "effect-netkit"
 *
 * const download = Effect.scoped(Effect.gen(function*() {
 *   const connection = yield* Net.connect({ host: "127.0.0.1", port: 7788 })
 *   return yield* Net.receiveFile(connection, "words")
 * }))
 * ```
 *
 * @category files
 */
export const receiveFile = (
  connection: Connection,
  path: string,
  options: ReceiveFileOptions = {}
): Effect.Effect<
  number,
  PlatformError.PlatformError | NetError.ReadError | NetError.UnexpectedEnd | NetError.InvalidOption,
  FileSystem.FileSystem | Path.Path
> =>
  Effect.gen(function* () {
    const { length, mode } = yield* Options.valid(() => resolveReceive(options))
    const files = yield* FileSystemTag
    const { dirname, join } = yield* PathTag
    const temporary = join(dirname(path), `.${(yield* Random.next).toString(36).slice(2)}.part`)
    // Nobody but us may read a file that is not to be read by all, not even before it has its permissions.
    const create = files.open(temporary, { flag: "wx", ...(mode === undefined ? {} : { mode: 0o600 }) })
    return yield* Effect.uninterruptibleMask((restore) =>
      Effect.scoped(Effect.flatMap(create, (file) =>
        restore(receive(connection, file, length)).pipe(
          Effect.zipLeft(file.sync),
          Effect.zipLeft(mode === undefined ? Effect.void : files.chmod(temporary, mode)),
          Effect.zipLeft(files.rename(temporary, path)),
          Effect.onError(() => Effect.ignore(files.remove(temporary)))
        )))
    )
  })

const resolveReceive = ({ length, mode }: ReceiveFileOptions) => {
  if (mode !== undefined && !(Number.isInteger(mode) && mode >= 0 && mode <= 0o7777)) {
    throw new NetError.InvalidOption({ option: "mode", value: mode, expected: "permissions" })
  }
  return { length: Options.whole("length", length, Infinity, 0, bytes), mode }
}

const receive = (connection: Connection, file: FileSystem.File, length: number) =>
  Effect.suspend(() => {
    let received = 0
    const next: Effect.Effect<
      number,
      PlatformError.PlatformError | NetError.ReadError | NetError.UnexpectedEnd
    > = Effect.suspend(() => received === length ? Effect.succeed(received) : Effect.flatMap(connection.read, keep))
    const keep = (chunk: Option.Option<Uint8Array>) => {
      if (Option.isSome(chunk)) {
        const mine = chunk.value.subarray(0, length - received)
        received += mine.length
        return connection.unread(chunk.value.subarray(mine.length)).pipe(
          // As in reading: a write that was begun goes on, and its descriptor must not become another file's.
          Effect.zipRight(Effect.uninterruptible(file.writeAll(mine))),
          Effect.zipRight(next)
        )
      }
      if (length === Infinity) return Effect.succeed(received)
      const { remoteAddress: address } = connection
      return Effect.fail(new NetError.UnexpectedEnd({ operation: "read", address, received, expected: length }))
    }
    return next
  })
