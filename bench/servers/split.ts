/**
 * Messages out of bytes and back, by hand on plain typed arrays: lines, or frames after a 4-byte length. Frames of one chunk are answered in
 * one piece; one that is too large throws.
 */

const maxLine = 65536
const maxFrame = 8 * 1024 * 1024

/** Where the payload begins and ends, and where the next frame begins; undefined while it is not all there. */
type Split = (bytes: Uint8Array, from: number) => readonly [start: number, end: number, next: number] | undefined

const splitLine: Split = (bytes, from) => {
  const end = bytes.indexOf(10, from)
  if (end === -1) {
    if (bytes.length - from > maxLine + 1) throw new Error("too long")
    return undefined
  }
  const length = end > from && bytes[end - 1] === 13 ? end - 1 : end
  if (length - from > maxLine) throw new Error("too long")
  return [from, length, end + 1]
}

const splitFrame: Split = (bytes, from) => {
  if (bytes.length - from < 4) return undefined
  const length = (bytes[from]! * 2 ** 24) + (bytes[from + 1]! << 16 | bytes[from + 2]! << 8 | bytes[from + 3]!)
  if (length > maxFrame) throw new Error("too long")
  const end = from + 4 + length
  return bytes.length < end ? undefined : [from + 4, end, end]
}

const sizeOf = (frames: ReadonlyArray<Uint8Array>, besides: number): number => {
  let size = 0
  for (const frame of frames) size += frame.length + besides
  return size
}

const joinLines = (lines: ReadonlyArray<Uint8Array>): Uint8Array => {
  const out = new Uint8Array(sizeOf(lines, 1))
  let at = 0
  for (const line of lines) {
    out.set(line, at)
    at += line.length
    out[at++] = 10
  }
  return out
}

const joinFrames = (frames: ReadonlyArray<Uint8Array>): Uint8Array => {
  const out = new Uint8Array(sizeOf(frames, 4))
  let at = 0
  for (const frame of frames) {
    const { length } = frame
    out[at++] = length >>> 24
    out[at++] = length >>> 16
    out[at++] = length >>> 8
    out[at++] = length
    out.set(frame, at)
    at += length
  }
  return out
}

const handle = (message: Uint8Array): Uint8Array => message

const concat = (head: Uint8Array, tail: Uint8Array): Uint8Array => {
  const whole = new Uint8Array(head.length + tail.length)
  whole.set(head)
  whole.set(tail, head.length)
  return whole
}

/** For one connection: the replies to the messages that a chunk completes, if any. The chunk's memory may be used again after the call. */
export const answering = (protocol: string | undefined): (chunk: Uint8Array) => Uint8Array | undefined => {
  const [split, join] = protocol === "lines" ? [splitLine, joinLines] : [splitFrame, joinFrames]
  let rest: Uint8Array | undefined
  return (chunk) => {
    const bytes = rest === undefined ? chunk : concat(rest, chunk)
    const replies: Array<Uint8Array> = []
    let from = 0
    for (let frame = split(bytes, from); frame !== undefined; frame = split(bytes, from)) {
      replies.push(handle(bytes.subarray(frame[0], frame[1])))
      from = frame[2]
    }
    rest = from === bytes.length ? undefined : bytes.slice(from)
    return replies.length > 0 ? join(replies) : undefined
  }
}
