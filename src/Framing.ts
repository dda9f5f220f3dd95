/**
 * Messages out of bytes, and bytes out of messages, for any protocol: a codec says in one line what a message is. Pure
 * and incremental: the same frames come out however the bytes were cut, and no peer makes a decoder hold more than its
 * maximum.
 *
 * Every framing has a finite maximum, counted on the payload that is handed out; exactly that much passes both ways,
 * and one byte more is `FrameTooLarge` both ways. After an error the frames have ended for good, unless `onTooLarge:
 * "skip"` was chosen. A wrong option throws `InvalidOption` where the codec is made. Take a `decoder` and an `encoder`
 * for bytes at hand, `decode` and `encode` for streams.
 *
 * @example
 * ```ts
 * import { Framing } from "effect-netkit"
 * import { Schema } from "effect"
 *
 * const Request = Schema.Struct({ id: Schema.Int, method: Schema.String })
 *
 * const chat = Framing.lines({ maxFrameLength: 1024 }).pipe(Framing.text())
 * const rpc = Framing.lengthPrefixed().pipe(Framing.json, Framing.schema(Request))
 * ```
 */
export { either } from "./framing/Refused.ts"
export { indexOf } from "./framing/Bytes.ts"
export { isCodec, transform, TypeId } from "./framing/Codec.ts"
export type { Codec } from "./framing/Codec.ts"
export { make } from "./framing/Custom.ts"
export type { Encoded, Incomplete, Locating, Location, Parsed, Parsing, Piece, Refusal } from "./framing/Custom.ts"
export { netstring, octetCounting } from "./framing/Decimal.ts"
export { delimiter } from "./framing/Delimiter.ts"
export type { DelimiterInput, DelimiterOptions } from "./framing/Delimiter.ts"
export { fixed } from "./framing/Fixed.ts"
export type { Decoder } from "./framing/FrameDecoder.ts"
export type { Encoder } from "./framing/FrameEncoder.ts"
export { json } from "./framing/Json.ts"
export { lengthPrefixed } from "./framing/LengthPrefixed.ts"
export type { LengthPrefixedOptions } from "./framing/LengthPrefixed.ts"
export { lines } from "./framing/Lines.ts"
export type { LinesOptions } from "./framing/Lines.ts"
export type { FramingOptions, SkippingOptions } from "./framing/Options.ts"
export { bytes } from "./framing/Raw.ts"
export { schema } from "./framing/Schema.ts"
export { decode, decodeChannel, duplex, encode, encodeChannel } from "./framing/Streams.ts"
export { text } from "./framing/Text.ts"
export type { PlainEncoding, TextOptions } from "./framing/Text.ts"
export { varint } from "./framing/Varint.ts"
export type { FrameError } from "./NetError.ts"
export { skippedFrames } from "./NetMetrics.ts"
