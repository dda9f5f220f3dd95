/**
 * What a RESP server does with its connections, to give to `Server.make`: commands on one store that all of them share.
 */
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import { type Framed, FramedServer, type NetError } from "effect-netkit"
import { execute, text } from "./Commands.ts"
import * as Resp from "./Resp.ts"
import { Store } from "./Store.ts"

/** A handler with a store of at most so many bytes, which is swept while the Scope lives. */
export const makeHandler = (maxMemory: number) =>
  Effect.gen(function* () {
    const store = new Store(yield* Effect.clock, maxMemory)
    yield* Effect.forkScoped(Effect.repeat(Effect.sync(() => store.sweep()), Schedule.spaced("1 second")))
    return FramedServer.handler({
      codec: Resp.server,
      handler: session(store),
      onFrameError: (error) => new Resp.RespError(`ERR Protocol error: ${reason(error)}`)
    })
  })

type Session = Framed.Framed<Resp.Command, Resp.Reply>

const session = (store: Store) => (client: Session) => (command: Resp.Command) => {
  if (command[0] === undefined) return
  const name = text(command[0]).toUpperCase()
  // The end of the handler is the end of the connection, whatever else the client has sent.
  return name === "QUIT" ? Effect.zipRight(client.send(Resp.OK), FramedServer.end) : execute(store, name, command)
}

const reason = (error: NetError.FrameError): string =>
  error._tag === "FrameMalformed" ? error.reason : "incomplete command"
