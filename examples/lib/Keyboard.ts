/**
 * What the user types: standard input line by line, from a terminal or a pipe, read only when somebody asks.
 * Questions go to standard error, only to a terminal; a bad answer is asked again; `EndOfInput` ends the program.
 */
import * as Chunk from "effect/Chunk"
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as Flags from "./Flags.ts"
import * as Platform from "./Platform.ts"

/** Standard input ended before an answer. */
export class EndOfInput extends Data.TaggedError("EndOfInput") {}

/** The next line, without its end. */
export class Keyboard extends Context.Tag("examples/Keyboard")<Keyboard, Effect.Effect<string, EndOfInput>>() {}

export const layer: Layer.Layer<Keyboard> = Layer.scoped(
  Keyboard,
  Platform.stdin.pipe(
    Stream.decodeText(),
    Stream.splitLines,
    Stream.rechunk(1),
    Stream.toPull,
    Effect.map(Effect.mapBoth({ onSuccess: Chunk.unsafeHead, onFailure: () => new EndOfInput() }))
  )
)

const isTerminal = process.stdin.isTTY

const show = (text: string): Effect.Effect<void> => Effect.sync(() => isTerminal && process.stderr.write(text))

/** Asks until the answer is a good one. */
export const ask = <A>(question: string, parse: Flags.Parser<A>): Effect.Effect<A, EndOfInput, Keyboard> =>
  Effect.gen(function* () {
    const line = yield* Keyboard
    while (true) {
      yield* show(question)
      const answer = yield* line
      const parsed = parse(answer)
      if (Either.isRight(parsed)) return parsed.right
      yield* show(`not ${parsed.left}: "${answer}"\n`)
    }
  })

const defaultHost = "127.0.0.1"

/** Where a client shall connect: a missing port is asked, a missing host too unless a port alone was given. */
export const serverAddress = (flags: Flags.Values<typeof Flags.client>) =>
  Effect.gen(function* () {
    const askHost = ask(`server ip [${defaultHost}]: `, hostAnswer)
    const host = flags.host ?? (flags.port === undefined ? yield* askHost : defaultHost)
    const port = flags.port ?? (yield* ask("server port: ", portAnswer))
    return { host, port }
  })

const hostAnswer: Flags.Parser<string> = (text) => Flags.host(text.trim() || defaultHost)
const portAnswer: Flags.Parser<number> = (text) => Flags.port(text.trim())
