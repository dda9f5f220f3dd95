/**
 * What somebody who installed the package might write first: an echo over loopback and one in memory, on any runtime.
 * `scripts/consumer-check.ts` type-checks and runs this outside the repository, against the packed tarball.
 */
import { Effect, Option } from "effect"
import { Net } from "effect-netkit"
import { BunNetwork } from "effect-netkit/bun"
import { DenoNetwork } from "effect-netkit/deno"
import { MemoryNetwork } from "effect-netkit/memory"
import { NodeNetwork } from "effect-netkit/node"
import { RuntimeNetwork } from "effect-netkit/runtime"
import * as Testing from "effect-netkit/testing"

const echo = Effect.scoped(Effect.gen(function* () {
  const listener = yield* Net.listen({ host: "127.0.0.1", port: 0 })
  yield* Effect.fork(Effect.flatMap(listener.accept, (served) => Net.relay(served, served)))
  const connection = yield* Net.connect(listener.address)
  yield* connection.write("hello")
  yield* connection.shutdown
  const reply = yield* connection.readExactly(5)
  const end = yield* connection.read
  return `${new TextDecoder().decode(reply)}${Option.isNone(end) ? ", then the end" : " and more"}`
}))

const modules = [BunNetwork, DenoNetwork, MemoryNetwork, NodeNetwork, RuntimeNetwork, Testing]

Effect.runPromise(Effect.all([
  Effect.provide(echo, RuntimeNetwork.layer),
  Effect.provide(echo, MemoryNetwork.layer)
])).then(([socket, memory]) => console.log(`${socket}; ${memory}; ${modules.length} more subpaths`))
