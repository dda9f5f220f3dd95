/**
 * Texts on a connection: raw, as the tutorials send them, where what one receive returns is one message; or lines.
 */
import { type Connection, Framed, Framing, type NetError } from "effect-netkit"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import iconv from "iconv-lite"

export type Encoding = "utf-8" | "gbk"

export class NotEncodable extends Data.TaggedError("NotEncodable")<{
  readonly text: string
  readonly encoding: Encoding
}> {
  override get message(): string {
    return `${this.text}: cannot be written in ${this.encoding}; choose another text or --encoding`
  }
}

export const encode = (text: string, encoding: Encoding): Effect.Effect<Uint8Array, NotEncodable> =>
  Effect.suspend(() => {
    // Unknown characters become "?" in silence.
    const bytes = iconv.encode(text, encoding)
    const same = iconv.decode(bytes, encoding, { stripBOM: false }) === text
    return same ? Effect.succeed(bytes) : Effect.fail(new NotEncodable({ text, encoding }))
  })

/**
 * The texts that come, each as one receive gave it, cut to `limit` bytes. Half a character is held until its rest is
 * there, and dropped at the end.
 */
export const texts = (
  connection: Connection.Connection,
  encoding: Encoding,
  limit = Infinity
): Stream.Stream<string, NetError.ReadError> =>
  Stream.suspend(() => {
    const decoder = new TextDecoder(encoding, { ignoreBOM: true })
    return connection.stream.pipe(
      Stream.map((bytes) => decoder.decode(bytes.subarray(0, limit), { stream: true })),
      Stream.filter((text) => text !== "")
    )
  })

/** How long a text may be that still waits for its last character. */
const longest = 65536

/**
 * One text, as one receive gave it; half a character at its end waits for the rest. Nothing if the stream ends before.
 */
export const receiveText = (connection: Connection.Connection, encoding: Encoding) =>
  Effect.gen(function* () {
    let bytes = new Uint8Array()
    let text: string | undefined
    while (bytes.length < longest) {
      const chunk = yield* connection.read
      if (Option.isNone(chunk)) break
      bytes = Buffer.concat([bytes, chunk.value])
      const decoder = new TextDecoder(encoding, { ignoreBOM: true })
      text = decoder.decode(bytes, { stream: true })
      if (decoder.decode() === "") break
    }
    return text
  })

/** Texts both ways. */
export interface Messages {
  readonly incoming: Stream.Stream<string, Framed.ReceiveError>
  readonly send: (text: string) => Effect.Effect<void, Framed.SendError | NotEncodable>
}

/** Raw texts, or one a line. */
export const messages = (connection: Connection.Connection, encoding: Encoding, framing: "raw" | "lines"): Messages => {
  const framed = Framed.make(connection, framing === "raw" ? Framing.bytes : Framing.lines())
  const decoder = new TextDecoder(encoding, { ignoreBOM: true })
  const lines = Stream.map(framed.messages, (line) => decoder.decode(line))
  return {
    incoming: framing === "raw" ? texts(connection, encoding) : lines,
    send: (text) => Effect.flatMap(encode(text, encoding), framed.send)
  }
}
