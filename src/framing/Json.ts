/**
 * JSON payloads: one value a frame, in UTF-8 as RFC 8259 wants it.
 */
import type { Codec } from "./Codec.ts"
import { transform } from "./Codec.ts"
import { Malformed } from "./Framer.ts"
import { text } from "./Text.ts"

const utf8 = text("utf-8", { fatal: true })

/**
 * JSON payloads, as `lines().pipe(json)` for newline-delimited JSON. What is not JSON or not UTF-8 is `FrameMalformed`,
 * and so is a value that JSON cannot hold (`undefined`, a function, a BigInt, a cycle). Add `schema` to know what came.
 *
 * @category transforms
 */
export const json = (self: Codec<Uint8Array>): Codec<unknown> =>
  transform(utf8(self), { decode: parse, encode: stringify })

const parse = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new Malformed("not JSON", cause)
  }
}

const stringify = (value: unknown): string => {
  // Gives undefined for what JSON leaves out, which the type does not say.
  const text: string | undefined = JSON.stringify(value)
  if (text === undefined) throw new Malformed(`JSON has no ${typeof value}`)
  return text
}
