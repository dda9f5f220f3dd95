/**
 * JSON-RPC 2.0 (https://www.jsonrpc.org/specification) as editors and language servers speak it: every message is JSON
 * after a header with its `Content-Length`. The codecs of both sides, the errors, and a handler of messages from a
 * table of methods.
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import { Framing } from "effect-netkit"

// --- what a message is ---

const Id = Schema.Union(Schema.Number, Schema.String)

/** A call; without an `id` it is a notification, which is not answered. */
const Call = Schema.Struct({
  jsonrpc: Schema.Literal("2.0"),
  id: Schema.optional(Schema.NullOr(Id)),
  method: Schema.String,
  params: Schema.optional(
    Schema.Union(Schema.Record({ key: Schema.String, value: Schema.Unknown }), Schema.Array(Schema.Unknown))
  )
})
export type Call = typeof Call.Type

const ErrorObject = Schema.Struct({ code: Schema.Int, message: Schema.String })

/** The answer to a call: a result, or an error. Its `id` is null where that of the call could not be read. */
const Answer = Schema.Struct({
  jsonrpc: Schema.Literal("2.0"),
  id: Schema.NullOr(Id),
  result: Schema.optional(Schema.Unknown),
  error: Schema.optional(ErrorObject)
})
export type Answer = typeof Answer.Type

/** What goes wrong with a call, with one of the codes of the specification. */
export class RpcError extends Schema.TaggedError<RpcError>()("RpcError", ErrorObject.fields) {}

export const parseError = (message: string) => new RpcError({ code: -32700, message })
export const invalidRequest = (message: string) => new RpcError({ code: -32600, message })
export const methodNotFound = (method: string) => new RpcError({ code: -32601, message: `no method ${method}` })
export const invalidParams = (message: string) => new RpcError({ code: -32602, message })

// --- what a message is in bytes ---

const encoder = new TextEncoder()
const decoder = new TextDecoder()

/** A payload after `Content-Length: N`, other fields and an empty line. */
export const contentLength = Framing.make({
  locate: (bytes, scanned) => {
    const end = Framing.indexOf(bytes, "\r\n\r\n", scanned - 3)
    if (end < 0) return undefined
    const [, length] = /^Content-Length: *(\d+) *$/im.exec(decoder.decode(bytes.subarray(0, end))) ?? []
    return length === undefined ? { malformed: "no Content-Length" } : { start: end + 4, end: end + 4 + Number(length) }
  },
  encode: (payload) => [encoder.encode(`Content-Length: ${payload.length}\r\n\r\n`), payload]
})

/** For clients: the peer's calls and answers. What is neither ends the session. */
export const client = contentLength.pipe(Framing.json, Framing.schema(Schema.Union(Call, Answer)))

/** For servers: what is no call is a value too, so that it can be answered and the next message read. */
export const server: Framing.Codec<Either.Either<Call, RpcError>, Answer> = contentLength.pipe(
  Framing.text(),
  Framing.transform({ decode: (text: string) => Either.flatMap(parse(text), decodeCall), encode: JSON.stringify })
)

const parse = (text: string): Either.Either<unknown, RpcError> =>
  Either.try({ try: () => JSON.parse(text), catch: (error) => parseError(String(error)) })

const decodeCall = (json: unknown): Either.Either<Call, RpcError> =>
  Either.mapLeft(Schema.decodeUnknownEither(Call)(json), (error) => invalidRequest(reason(error)))

/** The field at fault and what is wrong with it. */
const reason = (error: ParseResult.ParseError): string => {
  const [issue] = ParseResult.ArrayFormatter.formatErrorSync(error)
  return [...issue?.path ?? [], issue?.message].join(" ")
}

// --- methods ---

/** What a method gives for its parameters; a failure is answered as such. */
export type Method<R = never> = (params: unknown) => Effect.Effect<unknown, RpcError, R>

/** A method whose parameters have a schema. */
export const method = <A, I, R>(
  params: Schema.Schema<A, I>,
  run: (params: A) => Effect.Effect<unknown, RpcError, R>
): Method<R> => {
  const decode = Schema.decodeUnknown(params)
  return (given) => Effect.flatMap(Effect.mapError(decode(given), (error) => invalidParams(reason(error))), run)
}

/** Answers calls by a table of methods. */
export const dispatch = <R>(methods: Readonly<Record<string, Method<R>>>) => (call: Either.Either<Call, RpcError>) => {
  if (Either.isLeft(call)) return failure(null, call.left)
  const { id, method, params } = call.right
  const run = Object.hasOwn(methods, method) ? methods[method]!(params) : Effect.fail(methodNotFound(method))
  // A notification is not answered, not even with an error.
  if (id === undefined) return Effect.asVoid(Effect.either(run))
  return Effect.match(run, {
    onFailure: (error) => failure(id, error),
    onSuccess: (result = null): Answer => ({ jsonrpc: "2.0", id, result })
  })
}

const failure = (id: Answer["id"], { code, message }: RpcError): Answer => ({
  jsonrpc: "2.0",
  id,
  error: { code, message }
})
