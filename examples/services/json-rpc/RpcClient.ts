/**
 * The calling side of JSON-RPC on one connection. Answers are matched to calls by their `id` and may come in any order.
 */
import * as Effect from "effect/Effect"
import { type Connection, Framed, type NetError } from "effect-netkit"
import { type Answer, type Call, client, RpcError } from "./JsonRpc.ts"

/** Why there was no result: the method failed, or the connection did. */
type CallError = RpcError | Framed.ReceiveError | Framed.SendError | NetError.UnexpectedEnd

/** A server has identifiers of its own for what it calls here. */
const correlation: Framed.Correlation<Answer | Call> = {
  request: ({ id }) => id,
  answer: (message) => "method" in message ? undefined : message.id
}

/** A client that reads answers for as long as the Scope lives. Calls by the server are left alone. */
export const make = (connection: Connection.Connection) =>
  Effect.gen(function* () {
    const session = Framed.make(connection, client)
    const { request } = yield* Framed.requests(session, { correlation })
    let lastId = 0

    return {
      /** The result of a method. */
      call: (method: string, params?: Call["params"]): Effect.Effect<unknown, CallError> =>
        Effect.flatMap(
          Effect.suspend(() => request({ jsonrpc: "2.0", id: ++lastId, method, params })),
          (message) => {
            const { error, result } = message as Answer
            return error === undefined ? Effect.succeed(result) : Effect.fail(new RpcError(error))
          }
        ),
      /** Tells, without an answer. */
      notify: (method: string, params?: Call["params"]) => session.send({ jsonrpc: "2.0", method, params })
    }
  })
