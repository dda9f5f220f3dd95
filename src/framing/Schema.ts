/**
 * Payloads described by an Effect Schema: what comes in is checked, what goes out is encoded.
 */
import * as Either from "effect/Either"
import * as ParseResult from "effect/ParseResult"
import type * as Schema from "effect/Schema"
import type { Codec } from "./Codec.ts"
import { transform } from "./Codec.ts"
import { Malformed } from "./Framer.ts"

/** A message of a schema quotes what came, which may be as long as the frame. */
const quoted = 200

const shorten = (message: string): string => message.length <= quoted ? message : `${message.slice(0, quoted)}...`

const malformed = (error: ParseResult.ParseIssue): Malformed => {
  const [first] = ParseResult.ArrayFormatter.formatIssueSync(error)
  const path = first?.path ?? []
  const where = path.length === 0 ? "" : `${path.map(String).join(".")}: `
  return new Malformed(
    where + shorten(first?.message ?? "does not fit the schema"),
    ParseResult.parseError(error),
    path
  )
}

const orThrow = <A>(result: Either.Either<A, ParseResult.ParseIssue>): A => {
  if (Either.isLeft(result)) throw malformed(result.left)
  return result.right
}

/**
 * Payloads of a schema, over any codec that gives what the schema decodes from; with two schemas, of the first for what comes in and of the
 * second for what goes out. A payload that does not fit is `FrameMalformed`, both ways; its `path` and `reason` name the field, its `cause`
 * is the `ParseError`. Schemas must be synchronous and need no services.
 *
 * @example
 * ```ts
 * import { Framing } from "effect-netkit"
 * import { Schema } from "effect"
 *
 * class Move extends Schema.Class<Move>("Move")({ x: Schema.Int, y: Schema.Int }) {}
 * const Board = Schema.Struct({ pieces: Schema.Array(Move) })
 *
 * const player = Framing.lines().pipe(Framing.json, Framing.schema(Board, Move))
 * const referee = Framing.lines().pipe(Framing.json, Framing.schema(Move, Board))
 * ```
 *
 * @category transforms
 */
export const schema: {
  <A, I>(schema: Schema.Schema<A, I>): <Out>(self: Codec<Out, I>) => Codec<A>
  <A, I, B, J>(incoming: Schema.Schema<A, I>, outgoing: Schema.Schema<B, J>): <Out>(self: Codec<Out, J>) => Codec<A, B>
} = <A, I, B, J>(incoming: Schema.Schema<A, I>, outgoing?: Schema.Schema<B, J>) => {
  const decode = ParseResult.decodeUnknownEither(incoming)
  const encode = ParseResult.encodeEither(outgoing ?? incoming as unknown as Schema.Schema<B, J>)
  return <Out>(self: Codec<Out, J>): Codec<A, B> =>
    transform(self, {
      decode: (payload: Out) => orThrow(decode(payload)),
      encode: (value: B) => orThrow(encode(value))
    })
}
