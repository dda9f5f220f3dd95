/**
 * A codec: what a message is, for both directions, as one value. It holds no state: every connection takes a decoder
 * and an encoder of its own from it. Codecs are made by the constructors of `Framing` and changed by transforms of the
 * payload.
 */
import { dual } from "effect/Function"
import * as Pipeable from "effect/Pipeable"
import * as Predicate from "effect/Predicate"
import type { Decoder } from "./FrameDecoder.ts"
import { FrameDecoder } from "./FrameDecoder.ts"
import type { Encoder, Write } from "./FrameEncoder.ts"
import { FrameEncoder } from "./FrameEncoder.ts"
import { view } from "./Bytes.ts"
import type { Framer, Read } from "./Framer.ts"
import { TooLarge } from "./Framer.ts"

/**
 * Marks every codec.
 *
 * @category symbols
 */
export const TypeId: unique symbol = Symbol.for("effect-netkit/Framing")

/** @category symbols */
export type TypeId = typeof TypeId

/**
 * What a message is: `Out` comes out of the bytes of a connection, `In` goes into them.
 *
 * @category models
 */
export interface Codec<out Out, in In = Out> extends Pipeable.Pipeable {
  readonly [TypeId]: TypeId
  /** The most bytes that the payload of one frame may have, both ways, before any transform of it. */
  readonly maxFrameLength: number
  /** A new decoder, for one stream of bytes. */
  decoder(): Decoder<Out>
  /** A new encoder, for one stream of bytes. */
  encoder(): Encoder<In>
}

/**
 * Whether a value is a codec.
 *
 * @category guards
 */
export const isCodec = (u: unknown): u is Codec<unknown, never> => Predicate.hasProperty(u, TypeId)

/** What one decoder runs on. */
interface Reading<out Out> {
  readonly framer: Framer
  readonly read: Read<Out>
}

interface Spec<out Out, in In> {
  readonly maxFrameLength: number
  readonly skips: boolean
  readonly reading: () => Reading<Out>
  readonly writing: () => Write<In>
  /** `writing` copies a short payload before it comes back, and shows it to nobody. */
  readonly copies?: boolean | undefined
  /** Only for `bytes`, whose frames are no messages: the same, cut where `whole` says that no character is cut. */
  readonly recut?: ((whole: Whole) => Codec<Uint8Array>) | undefined
}

/** How many of the bytes `from` to `to`, which begin with a character, make whole characters. */
export type Whole = (bytes: Uint8Array, from: number, to: number) => number

class CodecImpl<Out, In> extends Pipeable.Class() implements Codec<Out, In> {
  readonly [TypeId]: TypeId = TypeId
  readonly spec: Spec<Out, In>

  constructor(spec: Spec<Out, In>) {
    super()
    this.spec = spec
  }

  get maxFrameLength(): number {
    return this.spec.maxFrameLength
  }

  decoder(): Decoder<Out> {
    const { framer, read } = this.spec.reading()
    return new FrameDecoder(framer, read, this.spec.maxFrameLength, this.spec.skips)
  }

  encoder(): Encoder<In> {
    return new FrameEncoder(this.spec.writing(), this.spec.maxFrameLength)
  }
}

const specOf = <Out, In>(self: Codec<Out, In>): Spec<Out, In> => (self as CodecImpl<Out, In>).spec

/** A codec of any kind of frame. */
export const fromSpec = <Out, In>(spec: Spec<Out, In>): Codec<Out, In> => new CodecImpl(spec)

/** A codec whose frames are bytes. What `writing` makes is given no payload above the maximum. */
export const fromFramer = (options: {
  readonly maxFrameLength: number
  readonly skips: boolean
  readonly framer: () => Framer
  readonly writing: () => Write<Uint8Array>
  readonly copies?: boolean
  readonly recut?: (whole: Whole) => Codec<Uint8Array>
}): Codec<Uint8Array> => {
  const { copies = true, framer, maxFrameLength, recut, skips } = options
  return fromSpec({
    maxFrameLength,
    skips,
    copies,
    recut,
    reading: () => ({ framer: framer(), read: view }),
    writing: () => {
      const write = options.writing()
      return (payload, out) => {
        if (payload.length > maxFrameLength) throw new TooLarge(payload.length)
        write(payload, out)
      }
    }
  })
}

/** The codec with another way to read and write its payload. */
export const mapSpec = <Out, In, A, B>(
  self: Codec<Out, In>,
  read: (inner: Read<Out>) => Read<A>,
  write: (inner: Write<In>) => Write<B>
): Codec<A, B> => {
  const { maxFrameLength, reading, skips, writing } = specOf(self)
  return fromSpec({
    maxFrameLength,
    skips,
    reading: () => {
      const inner = reading()
      return { framer: inner.framer, read: read(inner.read) }
    },
    writing: () => write(writing())
  })
}

/** Whether a short payload may be memory that is used again for the next one. */
export const copies = (self: Codec<Uint8Array>): boolean => specOf(self).copies === true

/** The codec itself; for `bytes`, one that keeps characters whole over the borders of chunks. */
export const keepWhole = (self: Codec<Uint8Array>, whole: Whole): Codec<Uint8Array> =>
  specOf(self).recut?.(whole) ?? self

/**
 * Changes what the payload of a frame is, with two plain functions. What one of them throws is `FrameMalformed`, with
 * the thrown value as its `cause` and its message as the `reason`.
 *
 * @example
 * ```ts
 * import { Framing } from "effect-netkit"
 *
 * const ids = Framing.fixed(4).pipe(Framing.transform({
 *   decode: (bytes) => new DataView(bytes.buffer, bytes.byteOffset).getUint32(0),
 *   encode: (id: number) => Uint8Array.of(id >>> 24, id >>> 16, id >>> 8, id)
 * }))
 * ```
 *
 * @category transforms
 */
export const transform: {
  <Out, A, B, In>(
    f: { readonly decode: (frame: Out) => A; readonly encode: (value: B) => In }
  ): (self: Codec<Out, In>) => Codec<A, B>
  <Out, In, A, B>(
    self: Codec<Out, In>,
    f: { readonly decode: (frame: Out) => A; readonly encode: (value: B) => In }
  ): Codec<A, B>
} = dual(2, <Out, In, A, B>(
  self: Codec<Out, In>,
  { decode, encode }: { readonly decode: (frame: Out) => A; readonly encode: (value: B) => In }
): Codec<A, B> =>
  mapSpec<Out, In, A, B>(
    self,
    (inner) => (bytes, from, to, ahead, offset) => decode(inner(bytes, from, to, ahead, offset)),
    (inner) => (value, out) => inner(encode(value), out)
  ))
