/**
 * Domain names as text, in the form of zone files (RFC 1035, 5.1): absolute, with the dot at the end, `\.` for a dot in
 * a label and `\DDD` for what cannot be printed. The text is ASCII, so names are equal if their lower case is
 * (RFC 4343).
 */
import { Malformed } from "./Malformed.ts"

export type Name = string

export const root: Name = "."

export const maxLabel = 63
/** With the length octets, the root's too. */
export const maxName = 255

const encoder = new TextEncoder()

/** How each octet is shown; those with a meaning in zone files with a backslash. */
const shown: ReadonlyArray<string> = Array.from({ length: 256 }, (_, octet) => {
  const character = String.fromCharCode(octet)
  if (octet <= 0x20 || octet > 0x7e) return `\\${String(octet).padStart(3, "0")}`
  return /["$().;@\\]/.test(character) ? `\\${character}` : character
})

/** The text of `length` octets from `at`, as a label without its dot. */
export const label = (bytes: Uint8Array, at: number, length: number): string => {
  let text = ""
  for (let i = at; i < at + length; i++) text += shown[bytes[i]!]
  return text
}

/** The octets of a text with escapes; where it is not ASCII, those of its UTF-8. */
export const octets = (text: string): Uint8Array => {
  const bytes = plain.test(text) ? ascii(text) : encoder.encode(text)
  if (!text.includes("\\")) return bytes
  let length = 0
  for (let at = 0; at < bytes.length;) {
    if (bytes[at] !== 0x5c) {
      bytes[length++] = bytes[at++]!
      continue
    }
    const [digits] = /^\d{3}/.exec(String.fromCharCode(...bytes.subarray(at + 1, at + 4))) ?? []
    if (at + 1 === bytes.length || Number(digits) > 255) throw new Malformed({ reason: `a bad escape in ${text}` })
    bytes[length++] = digits === undefined ? bytes[at + 1]! : Number(digits)
    at += digits === undefined ? 2 : 4
  }
  return bytes.subarray(0, length)
}

const plain = /^[\x00-\x7f]*$/

/** A label is too short to be worth the way to an encoder and back. */
const ascii = (text: string): Uint8Array => {
  const bytes = new Uint8Array(text.length)
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i)
  return bytes
}

/** Where the label that begins at `at` is followed by the next one. */
export const nextLabel = (name: string, at: number): number => {
  for (let i = at; i < name.length; i++) {
    if (name[i] === "\\") i++
    else if (name[i] === ".") return i + 1
  }
  return name.length + 1
}

/** The octets of each label of a text. */
const labels = (text: string): ReadonlyArray<Uint8Array> => {
  const found: Array<Uint8Array> = []
  for (let at = 0; at < text.length;) {
    const next = nextLabel(text, at)
    found.push(octets(text.slice(at, next - 1)))
    at = next
  }
  return found
}

const isAbsolute = (text: string): boolean => {
  let end = 0
  while (end < text.length) end = nextLabel(text, end)
  return end === text.length
}

/**
 * A name as it is typed: without the dot at its end it is relative to `origin`, and `@` is `origin` itself. Throws
 * `Malformed`.
 */
export const parse = (text: string, origin: Name | undefined): Name => {
  if (text === root) return root
  const given = text === "@" ? [] : labels(text)
  if (text === "" || given.some(({ length }) => length === 0)) throw new Malformed({ reason: `not a name: "${text}"` })
  if (given.some(({ length }) => length > maxLabel)) {
    throw new Malformed({ reason: `a label of more than ${maxLabel} octets: ${text}` })
  }
  const above = isAbsolute(text) ? root : origin
  if (above === undefined) throw new Malformed({ reason: `a relative name without $ORIGIN: ${text}` })
  const name = given.map((bytes) => `${label(bytes, 0, bytes.length)}.`).join("") + (above === root ? "" : above)
  if (labels(name).reduce((sum, { length }) => sum + 1 + length, 1) > maxName) {
    throw new Malformed({ reason: `a name of more than ${maxName} octets: ${text}` })
  }
  return name || root
}

/** The name and those above it, up to the root. */
export function* upwards(name: Name): Generator<Name> {
  for (let at = 0; name !== root && at < name.length; at = nextLabel(name, at)) yield name.slice(at)
  yield root
}
