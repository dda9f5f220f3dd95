/**
 * Listening on a path, whose file the runtimes leave to their users: it outlives a process that was killed, and goes at `close` whosever
 * it is by then. This wraps an adapter's `listen`, and lets TCP and abstract names, which have no file, through.
 * No call gives way between a look at a file and what is done to it; and none is deleted before it was moved aside and looked at again.
 */
import { Buffer } from "node:buffer"
import { chmodSync, lstatSync, renameSync, unlinkSync } from "node:fs"
import { resolve } from "node:path"
import process from "node:process"
import { classify } from "../src/ErrorKind.ts"
import type { Cancel, ListenerHandle, ListenEvents, ListenRequest, StreamEvents, Transport } from "../src/Transport.ts"

/** Bytes of `sun_path` but the NUL at its end: 108 on Linux, 104 on the BSDs and macOS (unix(7), unix(4)). */
export const maxPathBytes = process.platform === "linux" ? 107 : 103

interface Sockets extends Pick<Transport, "connect" | "listen"> {
  /** Whether a socket is bound to the file, for a runtime that takes a full queue for a refusal. */
  readonly isBound?: (file: string) => boolean
}

export const listenWithFile = (sockets: Sockets): Transport["listen"] => (request, events) => {
  const { endpoint } = request
  if (!("path" in endpoint) || endpoint.path.startsWith("\0")) return sockets.listen(request, events)
  return new SocketFile(sockets, request, events, resolve(endpoint.path)).cancel
}

/** How often a path may be found taken, and vacated, before that is the answer. */
const maxAttempts = 4

/** Milliseconds between two refusals that tell a dead socket from one that is bound and will listen in a moment. */
const settling = 50

class SocketFile {
  readonly #sockets: Sockets
  readonly #request: ListenRequest
  readonly #given: ListenRequest["endpoint"]
  readonly #events: ListenEvents
  readonly #file: string
  #attempts = 0
  #cancelled = false
  #cancelListen: Cancel = () => {}
  #own: string | undefined
  #closing = false
  /** Where somebody else's file waits while the runtime deletes what has the path. */
  #sheltered: string | undefined
  #failure: { readonly error: unknown } | undefined

  /** The runtimes delete the path that they were given: by its full name, as the folder may be another one by then. */
  constructor(sockets: Sockets, request: ListenRequest, events: ListenEvents, file: string) {
    this.#sockets = sockets
    this.#request = Buffer.byteLength(file) <= maxPathBytes ? { ...request, endpoint: { path: file } } : request
    this.#given = request.endpoint
    this.#events = events
    this.#file = file
    this.#listen()
  }

  readonly cancel: Cancel = () => {
    this.#cancelled = true
    this.#cancelListen()
  }

  #listen(): void {
    const events = this.#events
    this.#attempts++
    this.#cancelListen = this.#sockets.listen(this.#request, {
      onListening: (handle) => this.#opened(handle),
      onFail: (error) => {
        if (classify(error).kind === "AddressInUse" && this.#attempts < maxAttempts) void this.#tryAgain(error)
        else events.onFail(error)
      },
      onAccept: (handle) => this.#failure === undefined ? events.onAccept(handle) : undefined,
      onAcceptError: (error) => events.onAcceptError(error),
      onClose: () => this.#closed()
    })
  }

  async #tryAgain(inUse: unknown): Promise<void> {
    const failure = await this.#vacate().then(
      (vacant) => vacant ? undefined : { error: inUse },
      (error: unknown) => ({ error })
    )
    if (this.#cancelled) return
    if (failure === undefined) this.#listen()
    else this.#events.onFail(failure.error)
  }

  /** Whether nothing is in the way any more: a socket on which nobody listens is removed. */
  async #vacate(): Promise<boolean> {
    const found = identify(this.#file)
    if (found === undefined) return true
    if (!found.isSocket) throw Object.assign(new Error(`listen ${this.#file}: no socket`), { code: "ENOTSOCK" })
    if (await this.#isLive()) return false
    await new Promise((done) => setTimeout(done, settling))
    if (this.#cancelled || await this.#isLive()) return false
    remove(this.#file, found.id)
    return true
  }

  /** Anything but a refusal, a full queue say, is the sign of somebody. */
  async #isLive(): Promise<boolean> {
    const refused = await new Promise<boolean>((done) => {
      this.#sockets.connect(this.#request, {
        onOpen(handle) {
          queueMicrotask(() => handle.close())
          done(false)
          return unheard
        },
        onFail: (error) => done(dead.has(classify(error).kind))
      })
    })
    return !refused || this.#sockets.isBound?.(this.#file) === true
  }

  #opened(handle: ListenerHandle): void {
    const { mode } = this.#request
    try {
      if (mode !== undefined) chmodSync(this.#file, mode)
      this.#own = identify(this.#file)?.id
    } catch (error) {
      this.#failure = { error }
      return handle.close()
    }
    this.#events.onListening({
      localAddress: this.#given,
      pause: () => handle.pause(),
      resume: () => handle.resume(),
      close: () => {
        if (!this.#closing) this.#shelter()
        this.#closing = true
        handle.close()
      }
    })
  }

  /** A socket's file keeps its inode while the socket is open: another one there is another's. */
  #shelter(): void {
    const aside = besides(this.#file)
    const moved = attempt(() => {
      const found = identify(this.#file)
      if (found === undefined || found.id === this.#own) return false
      renameSync(this.#file, aside)
      return true
    })
    if (moved === true) this.#sheltered = aside
  }

  #closed(): void {
    const aside = this.#sheltered
    if (aside !== undefined) attempt(() => renameSync(aside, this.#file))
    if (this.#failure === undefined) this.#events.onClose()
    else if (!this.#cancelled) this.#events.onFail(this.#failure.error)
  }
}

const dead: ReadonlySet<string> = new Set(["ConnectionRefused", "PathNotFound"])

const unheard: StreamEvents = { onData() {}, onEnd() {}, onDrain() {}, onFinish() {}, onClose() {} }

/** What tells a file from its successors; the time, as an inode that was freed may be the next one's. Links are not followed. */
export const identify = (file: string): { readonly id: string; readonly isSocket: boolean } | undefined => {
  const found = lstatSync(file, { throwIfNoEntry: false })
  return found && { id: `${found.dev} ${found.ino} ${found.mtimeMs}`, isSocket: found.isSocket() }
}

const besides = (file: string): string => `${file}.${crypto.randomUUID()}`

/** What a close does to files is done as far as it may be: there is nobody to tell. */
const attempt = <A>(run: () => A): A | undefined => {
  try {
    return run()
  } catch {
    return undefined
  }
}

/** Deletes this very file. One that has taken its place since gets its place back. */
const remove = (file: string, id: string): void => {
  const aside = besides(file)
  try {
    renameSync(file, aside)
  } catch (error) {
    if (identify(file) === undefined) return
    throw error
  }
  if (identify(aside)?.id === id) unlinkSync(aside)
  else renameSync(aside, file)
}
