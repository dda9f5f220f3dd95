/**
 * The calling side of JSON-RPC on one connection. Answers are matched to calls by their `id` and may come in any order.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { type Connection, Framed, NetError } from "effect-netkit"
import { type Answer, type Call, client, RpcError } from "./JsonRpc.ts"

/** Why there was no result: the method failed, or the connection did. */
type CallError = RpcError | Framed.ReceiveError | Framed.SendError | NetError.UnexpectedEnd

/** A client that reads answers for as long as the Scope lives. */
export const make = (connection: Connection.Connection) =>
  Effect.gen(function* () {
    const session = Framed.make(connection, client)
    const waiting = new Map<Answer["id"], Deferred.Deferred<unknown, CallError>>()
    const ended = yield* Deferred.make<never, CallError>()
    let lastId = 0

    /** Calls by the server, and answers to who does not wait any more, are left alone. */
    const give = (message: Answer | Call) => {
      if ("method" in message) return Effect.void
      const { error, id, result } = message
      const caller = waiting.get(id)
      if (caller === undefined) return Effect.void
      return error === undefined ? Deferred.succeed(caller, result) : Deferred.fail(caller, new RpcError(error))
    }
    const end = new NetError.UnexpectedEnd({ operation: "read", address: connection.remoteAddress, received: 0 })
    const reading = Effect.zipRight(Stream.runForEach(session.messages, give), Effect.fail(end))
    yield* Effect.forkScoped(Effect.intoDeferred(reading, ended))

    return {
      /** The result of a method. */
      call: (method: string, params?: Call["params"]): Effect.Effect<unknown, CallError> =>
        Effect.gen(function* () {
          const id = ++lastId
          const answer = yield* Deferred.make<unknown, CallError>()
          waiting.set(id, answer)
          yield* session.send({ jsonrpc: "2.0", id, method, params })
          return yield* Effect.raceFirst(Deferred.await(answer), Deferred.await(ended)).pipe(
            Effect.ensuring(Effect.sync(() => waiting.delete(id)))
          )
        }),
      /** Tells, without an answer. */
      notify: (method: string, params?: Call["params"]) => session.send({ jsonrpc: "2.0", method, params })
    }
  })
