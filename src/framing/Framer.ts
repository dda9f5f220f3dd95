/**
 * What a framing knows and the decoder does not: where the first frame of some bytes lies.
 * A framer is a plain synchronous machine; the decoder owns buffering, limits, offsets and failure.
 * All positions that it reports are counted from the beginning of the frame.
 */

/** A frame was found: `start`, `end` and `total` say where. Its end may lie beyond the bytes there are. */
export const Located = 0
/** Not enough bytes to say. `need` says how many must be there before it is worth asking again. */
export const More = 1
/** No frame within the maximum. The decoder fails, or drops bytes until `resync` finds the next frame. */
export const Overlong = 2
/** Only at the end of the stream: what is left is no frame, and no fault either. */
export const Nothing = 3

export type Status = typeof Located | typeof More | typeof Overlong | typeof Nothing

export abstract class Framer {
  /** Where the payload begins and ends, and how many bytes the frame takes with all that is stripped from it. */
  start = 0
  end = 0
  total = 0
  need = 0
  /** How many of the last bytes `resync` must see again, because a delimiter may have begun in them. */
  readonly overlap: number = 0
  /** Whether the end of a frame is searched for. `reach` then finds it, or shows that it is not there. */
  readonly searches: boolean = false

  /**
   * Looks for the frame that begins at `from`. The first `scanned` of its bytes were seen by the last call, which said
   * `More`.
   */
  abstract locate(bytes: Uint8Array, from: number, to: number, scanned: number): Status

  /** How many of the bytes that come next, at least one, are to be added to a frame that spans chunks before asking again. */
  reach(_bytes: Uint8Array, from: number, to: number): number {
    return Math.min(to - from, 1024)
  }

  /**
   * The stream ended with these bytes, at least one, after the last whole frame. `More` means that they are a frame cut
   * short.
   */
  finish(_bytes: Uint8Array, _from: number, _to: number): Status {
    return More
  }

  /**
   * How many bytes to drop so that the next frame comes first, or -1 when it is not in sight. For a framing that says
   * `Overlong`.
   */
  resync(_bytes: Uint8Array, _from: number, _to: number): number {
    return -1
  }
}

/**
 * The payload of one frame, as a value: bytes `from` to `to`, which are at `offset` of the stream. Bytes up to `ahead`
 * are there already and final, so that one may look ahead.
 */
export type Read<out A> = (bytes: Uint8Array, from: number, to: number, ahead: number, offset: number) => A

/** Thrown by a framer, a `Read` or a `Write` for bytes or a value that make no frame. Becomes `FrameMalformed`. */
export class Malformed {
  readonly reason: string
  readonly path: ReadonlyArray<PropertyKey> | undefined
  readonly cause: unknown
  constructor(reason: string, cause?: unknown, path?: ReadonlyArray<PropertyKey>) {
    this.reason = reason
    this.cause = cause
    this.path = path
  }
}

/** Thrown by a `Write` for a payload longer than the maximum. Becomes `FrameTooLarge`. */
export class TooLarge {
  readonly size: number
  constructor(size: number) {
    this.size = size
  }
}
