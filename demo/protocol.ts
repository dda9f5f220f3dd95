/**
 * The frames of the request server, made by hand on the bare connection: a length in 4 bytes (big endian), then that many bytes.
 * A request is a line of text such as `sum 1 2 3`, and so is its answer; the answer to `bytes N` is a frame of N bytes, then one more
 * with their SHA-256.
 */
import { createHash } from "node:crypto"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Connection } from "effect-netkit"

const encoder = new TextEncoder()
const decoder = new TextDecoder()

/** The length in front of a frame. */
export const header = (length: number): Uint8Array => {
  const bytes = new Uint8Array(4)
  new DataView(bytes.buffer).setUint32(0, length)
  return bytes
}

export const send = (connection: Connection.Connection, text: string) => {
  const body = encoder.encode(text)
  return connection.writeAll([header(body.length), body])
}

export const receiveHeader = (connection: Connection.Connection) =>
  Effect.map(connection.readExactly(4), (bytes) => new DataView(bytes.buffer, bytes.byteOffset).getUint32(0))

/** The text of the next frame, or none where the peer has ended between two frames. */
export const receive = (connection: Connection.Connection) =>
  Effect.gen(function* () {
    const chunk = yield* connection.read
    if (Option.isNone(chunk)) return Option.none()
    yield* connection.unread(chunk.value)
    const length = yield* receiveHeader(connection)
    return Option.some(decoder.decode(yield* connection.readExactly(length)))
  })

/** Sends a request and waits for its answer. */
export const request = (connection: Connection.Connection, text: string) =>
  Effect.zipRight(send(connection, text), Effect.flatten(receive(connection)))

/** The answer to `bytes N`, taken in as it comes, and whether its checksum is right. */
export const receiveBytes = (connection: Connection.Connection) =>
  Effect.gen(function* () {
    const hash = createHash("sha256")
    const length = yield* receiveHeader(connection)
    for (let left = length; left > 0;) {
      const block = yield* connection.readExactly(Math.min(65536, left))
      hash.update(block)
      left -= block.length
    }
    const checksum = yield* Effect.flatten(receive(connection))
    return { length, intact: hash.digest("hex") === checksum }
  })

/** What `status` answers, as JSON. */
export interface Status {
  /** Resident memory of the server's process, in bytes. */
  readonly memory: number
  /** How many bytes of the newest answer to `bytes N` its writes have got rid of. */
  readonly accepted: number
}
