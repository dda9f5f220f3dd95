/**
 * Bytes as test tables write them, and decoders and encoders run over them.
 */
import * as Either from "effect/Either"
import * as fc from "fast-check"
import type * as Framing from "../../src/Framing.ts"
import type { FrameError } from "../../src/NetError.ts"

const encoder = new TextEncoder()
const decoder = new TextDecoder()

export const utf8 = (text: string): Uint8Array => encoder.encode(text)
export const ascii = (bytes: Uint8Array): string => decoder.decode(bytes)

/** Chunks, as `00000009 'abc' | 'def'`: hexadecimal, quoted text with \n, \r and \0, and a bar between two reads. */
export const wire = (text: string): Array<Uint8Array> => {
  const chunks: Array<Array<number>> = [[]]
  for (const [token] of text.matchAll(/'(?:\\.|[^'])*'|\||[0-9a-fA-F]{2}/g)) {
    if (token === "|") chunks.push([])
    else if (token.startsWith("'")) {
      const plain = token.slice(1, -1).replace(/\\(.)/g, (_, c: string) => ({ n: "\n", r: "\r", 0: "\0" })[c] ?? c)
      chunks.at(-1)!.push(...utf8(plain))
    } else chunks.at(-1)!.push(parseInt(token, 16))
  }
  return chunks.map((chunk) => Uint8Array.from(chunk))
}

export const bytes = (text: string): Uint8Array => concat(wire(text))

export const hex = (bytes: Uint8Array): string => Array.from(bytes, (b) => b.toString(16).padStart(2, "0")).join("")

export const concat = (chunks: ReadonlyArray<Uint8Array>): Uint8Array => {
  const whole = new Uint8Array(chunks.reduce((sum, chunk) => sum + chunk.length, 0))
  let at = 0
  for (const chunk of chunks) {
    whole.set(chunk, at)
    at += chunk.length
  }
  return whole
}

export interface Decoded<A> {
  readonly frames: Array<A>
  readonly error: FrameError | undefined
  readonly skipped: number
}

/** Pushes each chunk and decodes after it, as a connection does. */
export const decode = <Out, In>(
  codec: Framing.Codec<Out, In>,
  chunks: Iterable<Uint8Array>,
  end = true
): Decoded<Out> => {
  const decoder = codec.decoder()
  const frames: Array<Out> = []
  let error: FrameError | undefined = undefined
  for (const chunk of chunks) {
    decoder.push(chunk)
    error = decoder.decode(frames)
  }
  if (end) {
    decoder.end()
    error = decoder.decode(frames)
  }
  return { frames, error, skipped: decoder.skipped }
}

/** The frames as text, with the tag of the error that ended them. */
export const decodeText = <In>(
  codec: Framing.Codec<Uint8Array, In>,
  chunks: Iterable<Uint8Array>,
  end = true
): ReadonlyArray<string> => {
  const { error, frames } = decode(codec, chunks, end)
  return [...frames.map(ascii), ...(error === undefined ? [] : [error._tag])]
}

export const encode = <Out, In>(codec: Framing.Codec<Out, In>, ...frames: ReadonlyArray<In>): Uint8Array =>
  concat(Either.getOrThrowWith(codec.encoder().encodeAll(frames), (error) => error))

export const refusal = <Out, In>(codec: Framing.Codec<Out, In>, frame: In): FrameError =>
  Either.getOrThrowWith(Either.flip(codec.encoder().encode(frame)), () => new Error("was encoded"))

/** What the decoder says at the fault, without the stack. */
export const facts = (error: FrameError | undefined): unknown =>
  error === undefined ? undefined : { ...error, cause: undefined }

/** The same bytes cut at the given places, taken modulo the length. */
export const cut = (whole: Uint8Array, places: ReadonlyArray<number>): Array<Uint8Array> => {
  const at = [...new Set(places.map((place) => place % (whole.length + 1)))].sort((a, b) => a - b)
  return [0, ...at].map((from, i) => whole.slice(from, at[i] ?? whole.length))
}

export const byteByByte = (whole: Uint8Array): Array<Uint8Array> => Array.from(whole, (byte) => Uint8Array.of(byte))

/** Where to cut: a few places, many, or each byte. */
export const cuts: fc.Arbitrary<(whole: Uint8Array) => Array<Uint8Array>> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.array(fc.nat(), { maxLength: 6 }).map((places) => (whole: Uint8Array) => cut(whole, places))
  },
  {
    weight: 2,
    arbitrary: fc.array(fc.nat(), { maxLength: 60 }).map((places) => (whole: Uint8Array) => cut(whole, places))
  },
  { weight: 1, arbitrary: fc.constant(byteByByte) }
)
