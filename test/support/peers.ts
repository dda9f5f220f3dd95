/**
 * Both ends of a test with a raw foreign peer: the Python program, and this SDK on the runtime's own sockets.
 * Without Python the tests are skipped, and say so.
 */
import { createHash } from "node:crypto"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { it } from "vitest"
import { RuntimeNetwork } from "../../adapters/runtime/index.ts"
import type { Connection } from "../../src/Connection.ts"
import * as Net from "../../src/Net.ts"
import type { Network } from "../../src/Network.ts"
import * as Server from "../../src/Server.ts"
import * as SocketAddress from "../../src/SocketAddress.ts"
import { noPython, python } from "./python.ts"

if (noPython !== undefined) console.warn(`skipped: ${noPython}`)

/** A test with a raw peer, skipped where there is none. */
export const trap = (name: string, body: Effect.Effect<unknown, unknown, Network | Scope.Scope>) =>
  it.skipIf(noPython !== undefined)(
    name,
    { timeout: 30_000 },
    () => Effect.runPromise(Effect.asVoid(Effect.scoped(body)).pipe(Effect.provide(RuntimeNetwork.layer)))
  )

export const portOf = ({ address }: { readonly address: SocketAddress.SocketAddress }): number =>
  SocketAddress.isInetAddress(address) ? address.port : 0

/** A server on a free port, which is given. */
export const serve = <E>(
  handler: (connection: Connection) => Effect.Effect<unknown, E>,
  options?: Partial<Server.ServerOptions<E, never>>
) =>
  Effect.map(Server.serve(Server.make({ listen: { port: 0 }, handler, drainTimeout: "1 second", ...options })), portOf)

/** A foreign client and this side of its connection. */
export const accepted = (script: string, options?: Net.ListenOptions) =>
  Effect.gen(function* () {
    const listener = yield* Net.listen({ port: 0 }, options)
    const peer = yield* python(`sock = connect()\n${script}`, portOf(listener))
    return { peer, connection: yield* listener.accept }
  })

/** A foreign server and a connection to it. */
export const connected = (script: string, options?: Net.ConnectOptions) =>
  Effect.gen(function* () {
    const peer = yield* python(`
server = socket.create_server(("127.0.0.1", 0))
say(server.getsockname()[1])
sock, _ = server.accept()
${script}`)
    return { peer, connection: yield* Net.connect({ port: Number(yield* peer.line) }, options) }
  })

/** The tag of the failure, or `success`. */
export const tagOf = <R>(effect: Effect.Effect<unknown, { readonly _tag: string }, R>) =>
  Effect.match(effect, { onFailure: ({ _tag }) => _tag, onSuccess: () => "success" })

export const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex")

/** What a write to a peer that has gone may fail with. */
export const gone = ["ConnectionReset", "BrokenPipe"]

/** Until the connection says that its peer has gone. */
export const writesFail = (connection: Connection) =>
  tagOf(Effect.forever(Effect.zipRight(connection.write(new Uint8Array(1000)), Effect.sleep("1 millis"))))
