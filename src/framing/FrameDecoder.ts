/**
 * The one decoder under every framing: takes chunks as they come, gives frames, and holds what a frame is still waiting
 * for. A frame within one chunk is a view of it; one that spans chunks is put together once, in a buffer that grows by
 * what has come, not by what a header announces. After a failure there are no more frames.
 */
import type { FrameError } from "../NetError.ts"
import { FrameMalformed, FrameTooLarge, FrameTruncated } from "../NetError.ts"
import { concat, empty } from "./Bytes.ts"
import type { Framer, Read, Status } from "./Framer.ts"
import { Located, Malformed, More, Overlong } from "./Framer.ts"
import { KiB } from "./Options.ts"
import { allocate } from "./Pool.ts"

/**
 * Frames out of bytes: a plain incremental machine, synchronous and without I/O, for one stream of bytes.
 *
 * `push` the chunks in the order they come, `decode` until it adds nothing more, `end` at the end of the stream and
 * `decode` again. A chunk must not be changed after it was pushed: frames are views of it.
 *
 * @category models
 */
export interface Decoder<out A> {
  /** Adds bytes. Copies nothing, unless frames of an earlier chunk have been left undecoded. */
  push(chunk: Uint8Array): void
  /**
   * The stream has ended: what is left becomes the last frame, where the framing allows one without its end, or
   * `FrameTruncated`.
   */
  end(): void
  /**
   * Appends the frames there are to `out`, at most `limit` of them; bytes after these stay untouched. Gives the failure
   * that ended the frames, again at every later call. Frames before it are in `out`.
   */
  decode(out: Array<A>, limit?: number): FrameError | undefined
  /**
   * Takes out the bytes that are in no frame yet, for another decoder to go on with. Views or copies of what was
   * pushed.
   */
  leftover(): Uint8Array
  /** How many bytes of the stream the frames so far have taken: where the next one begins. */
  readonly offset: number
  /** How many bytes have been pushed that are in no frame yet. After a `decode` without limit at most one frame's. */
  readonly buffered: number
  /** How many frames were dropped for their size, under `onTooLarge: "skip"`. */
  readonly skipped: number
}

/** However much a frame announces, it gets room for this much, or for so many times what has come of it, whichever is more. */
const room = 4 * KiB
const trust = 32

/** `dropping` up to the next delimiter, however far it is. */
const toDelimiter = Infinity

export class FrameDecoder<A> implements Decoder<A> {
  offset = 0
  skipped = 0

  // The window: bytes `from` to `to`, a view of the newest chunk, or a buffer of our own in which a frame is put
  // together.
  private bytes = empty
  private from = 0
  private to = 0
  private owned = false
  // The newest chunk while the window is a buffer of our own, which has taken its first `restAt` bytes.
  private rest = empty
  private restAt = 0

  private located = false
  private scanned = 0
  private need = 1
  private dropping = 0
  private droppedAt = 0
  private ended = false
  private failure: FrameError | undefined = undefined

  private readonly framer: Framer
  private readonly read: Read<A>
  private readonly max: number
  private readonly skips: boolean

  constructor(framer: Framer, read: Read<A>, max: number, skips: boolean) {
    this.framer = framer
    this.read = read
    this.max = max
    this.skips = skips
  }

  get buffered(): number {
    return this.to - this.from + this.rest.length - this.restAt
  }

  push(chunk: Uint8Array): void {
    if (chunk.length === 0 || this.ended || this.failure !== undefined) return
    if (this.restAt < this.rest.length) {
      this.hold()
      this.append(this.rest.length - this.restAt)
    }
    this.rest = chunk
    this.restAt = 0
    if (this.from === this.to) this.release()
  }

  end(): void {
    this.ended = true
  }

  decode(out: Array<A>, limit = Infinity): FrameError | undefined {
    const full = out.length + limit
    try {
      do this.sweep(out, full)
      while (out.length < full && this.advance())
    } catch (thrown) {
      this.fail(malformed("decode", this.offset, thrown))
    }
    return this.failure
  }

  leftover(): Uint8Array {
    const head = this.bytes.subarray(this.from, this.to)
    const tail = this.rest.subarray(this.restAt)
    this.clear()
    return concat(head, tail)
  }

  /**
   * Takes the frames that lie whole in the window, up to the first that does not. All but a few frames come this way.
   */
  private sweep(out: Array<A>, full: number): void {
    if (this.dropping > 0 || this.to - this.from < this.need) return
    const { bytes, framer, max, read, to } = this
    const base = this.offset - this.from
    for (let from = this.from; from < to && out.length < full;) {
      if (!this.located) {
        const status = framer.locate(bytes, from, to, this.scanned)
        if (status !== Located) return this.unlocated(status)
        if (framer.end - framer.start > max) return this.refuse(framer.end - framer.start, framer.total)
        this.found()
      }
      if (framer.total > to - from) return
      out.push(read(bytes, from + framer.start, from + framer.end, to, base + from + framer.start))
      from += framer.total
      this.from = from
      this.offset = base + from
      this.located = false
    }
  }

  private found(): true {
    this.scanned = 0
    this.need = 1
    return this.located = true
  }

  private unlocated(status: Status): void {
    if (status === Overlong) return this.refuse(this.max + 1, toDelimiter)
    this.scanned = this.to - this.from
    this.need = Math.max(this.framer.need, this.scanned + 1)
  }

  /** Drops, fetches or ends, after which there may be a frame. False when there is nothing more to be had. */
  private advance(): boolean {
    if (this.dropping > 0 && this.drop(this.to - this.from)) return true
    return this.more() || (this.ended && this.finish())
  }

  private consume(count: number): void {
    this.from += count
    this.offset += count
  }

  /** Drops what can be dropped of a skipped frame. True when that was all of it. */
  private drop(have: number): boolean {
    if (this.dropping !== toDelimiter) {
      const count = Math.min(have, this.dropping)
      this.consume(count)
      this.dropping -= count
      return this.dropping === 0
    }
    const found = this.framer.resync(this.bytes, this.from, this.to)
    if (found >= 0) this.dropping = 0
    this.consume(found >= 0 ? found : Math.max(0, have - this.framer.overlap))
    return found >= 0
  }

  private refuse(size: number, total: number): void {
    if (!this.skips) {
      return this.fail(new FrameTooLarge({ operation: "decode", offset: this.offset, size, limit: this.max }))
    }
    this.skipped++
    this.dropping = total
    this.droppedAt = this.offset
    this.scanned = 0
    this.need = 1
  }

  private fail(failure: FrameError): void {
    this.clear()
    this.failure = failure
  }

  private clear(): void {
    this.bytes = this.rest = empty
    this.from = this.to = this.restAt = 0
    this.owned = this.located = false
    this.scanned = this.dropping = 0
    this.need = 1
  }

  /**
   * Brings more bytes into the window. False when there are none; what the window has is then held until the next
   * chunk.
   */
  private more(): boolean {
    const have = this.to - this.from
    const available = this.rest.length - this.restAt
    // What is left of our buffer lies in the newest chunk too: back to that one, which needs no copying.
    if (have <= this.restAt) {
      this.release()
      if (available > 0) return true
    }
    if (have > 0) this.hold()
    if (available === 0) return false
    const { framer, located, rest, restAt } = this
    const wanted = located ? framer.total - have : Math.max(this.need - have, framer.reach(rest, restAt, rest.length))
    this.append(Math.min(available, wanted))
    // What was searched in the chunk, by the runtime's own search where it has a fast one, is not searched again.
    if (framer.searches && this.dropping === 0) this.scanned = this.to - this.from - 1
    return true
  }

  /** Makes the newest chunk the window, from the byte at which our buffer ends its use. */
  private release(): void {
    const have = this.to - this.from
    this.bytes = this.rest
    this.from = this.restAt - have
    this.to = this.rest.length
    this.owned = false
    this.rest = empty
    this.restAt = 0
  }

  /** Moves the window into a buffer of our own, so that a few bytes do not keep a whole chunk in memory. */
  private hold(): void {
    if (!this.owned) this.grow(0)
  }

  private append(count: number): void {
    if (this.bytes.length - this.to < count) this.grow(count)
    const all = this.restAt === 0 && count === this.rest.length
    this.bytes.set(all ? this.rest : this.rest.subarray(this.restAt, this.restAt + count), this.to)
    this.to += count
    this.restAt += count
  }

  private grow(count: number): void {
    const have = this.to - this.from
    const known = this.located ? this.framer.total : this.need
    const hoped = this.located ? 0 : Math.min(4 * have, this.max + room)
    const grown = allocate(Math.max(have + count, hoped, Math.min(known, Math.max(room, trust * have))))
    grown.set(this.bytes.subarray(this.from, this.to))
    this.bytes = grown
    this.from = 0
    this.to = have
    this.owned = true
  }

  /** The stream has ended and the window holds no whole frame. True when what it holds is the last frame. */
  private finish(): boolean {
    const framer = this.framer
    const have = this.to - this.from
    if (this.dropping > 0 && this.dropping !== toDelimiter) {
      return this.truncated(this.droppedAt, this.offset - this.droppedAt, framer.total)
    }
    if (this.located) return this.truncated(this.offset, have, framer.total)
    if (have === 0) return false
    const status = framer.finish(this.bytes, this.from, this.to)
    if (status === More) return this.truncated(this.offset, have, undefined)
    if (this.dropping === 0) {
      if (status === Located) return this.found()
      if (status === Overlong) this.refuse(this.max + 1, toDelimiter)
    }
    this.consume(this.to - this.from)
    return false
  }

  private truncated(offset: number, received: number, expected: number | undefined): false {
    this.fail(new FrameTruncated({ operation: "decode", offset, received, expected }))
    return false
  }
}

/** The typed error for whatever a framer, a codec of the user's or a transform threw. */
export const malformed = (operation: "decode" | "encode", offset: number, thrown: unknown): FrameMalformed => {
  if (thrown instanceof Malformed) return new FrameMalformed({ operation, offset, ...thrown })
  const reason = thrown instanceof Error ? thrown.message : String(thrown)
  return new FrameMalformed({ operation, offset, reason, cause: thrown })
}
