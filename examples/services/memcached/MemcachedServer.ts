/**
 * What a memcached does with its connections, to give to `Server.make`: requests on one cache that all of them share.
 */
import * as Effect from "effect/Effect"
import { FramedServer } from "effect-netkit"
import { Cache } from "./Cache.ts"
import { execute } from "./Commands.ts"
import * as Memcached from "./Memcached.ts"

/** A handler with a cache of at most so many bytes. */
export const makeHandler = (maxMemory: number) =>
  Effect.map(Effect.clock, (clock) => {
    const cache = new Cache(clock, maxMemory)
    return FramedServer.handler({
      codec: Memcached.server,
      handler: () => (message) => message === Memcached.dropped ? undefined : answer(cache, message),
      onFrameError: (error) => `CLIENT_ERROR ${error._tag === "FrameMalformed" ? error.reason : error.message}`
    })
  })

/** After `quit` the handler ends, and with it the connection. */
const answer = (cache: Cache, request: Memcached.Request) =>
  request.words[0] === "quit" ? FramedServer.end : execute(cache, request)
