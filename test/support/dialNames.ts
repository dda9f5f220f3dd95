/**
 * Dials names that the resolver of this machine knows from /etc/hosts, where test/dialNames.test.ts has mounted one of
 * its own, and prints what came of it as JSON.
 */
import * as Effect from "effect/Effect"
import { RuntimeNetwork } from "../../adapters/runtime/index.ts"
import * as Net from "../../src/Net.ts"

const outcome = (host: string, port: number, options?: Net.ConnectOptions) =>
  Effect.scoped(Net.connect({ host, port }, options)).pipe(
    Effect.match({
      onFailure: (error) => `${error._tag} ${"attempts" in error ? error.attempts?.length ?? 0 : ""}`.trim(),
      onSuccess: ({ remoteAddress }) => String(remoteAddress).replace(/:\d+$/, "")
    })
  )

/** What comes of dialling the names, with a server on one address alone. */
const serving = (host: string, names: ReadonlyArray<string>) =>
  Effect.scoped(Effect.gen(function* () {
    const { address } = yield* Net.listen({ host, port: 0 })
    const port = Number(/\d+$/.exec(String(address))![0])
    return yield* Effect.forEach(names, (name) => outcome(name, port))
  }))

const program = Effect.gen(function* () {
  const names = ["localhost", "both.test", "three.test"]
  const local = yield* serving("127.0.0.1", names)
  const local6 = yield* serving("::1", names)
  const second = yield* serving("127.0.0.3", names)
  const refused = yield* outcome("three.test", 9)
  const lookups = yield* Effect.forEach(
    [4, 6, "any"] as const,
    (family) => Effect.map(Net.lookup("both.test", { family }), (found) => [...found].sort().join())
  )
  const missing = yield* outcome("three.test", 9, { family: 6 })
  return { local, local6, second, refused, lookups, missing }
})

console.log(JSON.stringify(await Effect.runPromise(program.pipe(Effect.provide(RuntimeNetwork.layer)))))
process.exit(0)
