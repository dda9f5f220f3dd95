/**
 * The options that every codec has, checked when the codec is made. Sizes are bytes. What cannot be meant is a
 * programming error: it throws `InvalidOption` at once, as `Schema` and `Duration` do.
 */
import { InvalidOption } from "../NetError.ts"

/**
 * The options of every framing.
 *
 * @category options
 */
export interface FramingOptions {
  /** The most bytes that the payload of one frame may have, both ways. */
  readonly maxFrameLength?: number | undefined
}

/**
 * The options of a framing that can find the next frame after one that is too large.
 *
 * @category options
 */
export interface SkippingOptions extends FramingOptions {
  /**
   * `fail` (the default) ends the stream of frames with `FrameTooLarge`; `skip` drops the frame, however long, holds
   * none of it in memory, and counts it in the decoder's `skipped`. Encoding always fails.
   */
  readonly onTooLarge?: "fail" | "skip" | undefined
}

export const KiB = 1024
export const MiB = 1024 * 1024

export const integer = (option: string, value: number, min: number, max: number = Number.MAX_SAFE_INTEGER): number => {
  if (Number.isSafeInteger(value) && value >= min && value <= max) return value
  const range = max === Number.MAX_SAFE_INTEGER ? `of at least ${min}` : `from ${min} to ${max}`
  throw new InvalidOption({ option, value, expected: `a whole number ${range}` })
}

export const oneOf = <const A>(option: string, value: A, allowed: ReadonlyArray<A>): A => {
  if (allowed.includes(value)) return value
  throw new InvalidOption({ option, value, expected: `one of ${allowed.map((a) => JSON.stringify(a)).join(", ")}` })
}

export const flag = (option: string, value: boolean | undefined, otherwise: boolean): boolean =>
  oneOf(option, value === undefined ? otherwise : value, [true, false])

export const maxFrameLength = (options: FramingOptions, otherwise: number): number =>
  integer("maxFrameLength", options.maxFrameLength ?? otherwise, 0)

export const skips = (options: SkippingOptions): boolean =>
  oneOf("onTooLarge", options.onTooLarge ?? "fail", ["fail", "skip"]) === "skip"
