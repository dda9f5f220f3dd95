/**
 * Tries to open what its arguments say, in JSON, and prints the reports of the errors. `test/errors.test.ts` starts
 * this in a network namespace, without privileges, without permissions, or with few descriptors.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { RuntimeNetwork } from "../../adapters/runtime/index.ts"
import * as Net from "../../src/Net.ts"
import type { NetError } from "../../src/NetError.ts"
import type { Network } from "../../src/Network.ts"
import * as Udp from "../../src/Udp.ts"
import { reportOf } from "./report.ts"

interface Attempt {
  readonly open: "connect" | "listen" | "bind" | "send"
  readonly address: string
  readonly options?: Net.ConnectOptions & Net.ListenOptions
  /** Once more until it fails, all open together. */
  readonly untilFailure?: boolean
  /** Somebody listens there meanwhile. */
  readonly served?: boolean
}

const attempts: ReadonlyArray<Attempt> = JSON.parse(process.argv[2]!)

type Way = (address: string, options?: Attempt["options"]) => Effect.Effect<unknown, NetError, Network | Scope.Scope>

const ways: Record<Attempt["open"], Way> = {
  connect: Net.connect,
  listen: Net.listen,
  bind: (address) => Udp.bind(address),
  send: (address) =>
    Effect.flatMap(
      Udp.bind({ host: address.startsWith("[") ? "::" : "0.0.0.0", port: 0 }),
      ({ send }) => send("x", address)
    )
}

const tried = ({ address, open, options, served = false, untilFailure = false }: Attempt) => {
  const once = ways[open](address, options)
  const attempt = reportOf(untilFailure ? Effect.forever(once) : once)
  return Effect.scoped(served ? Effect.zipRight(Net.listen(address), attempt) : attempt)
}

const reports = await Effect.runPromise(Effect.forEach(attempts, tried).pipe(Effect.provide(RuntimeNetwork.layer)))
console.log(JSON.stringify(reports))
process.exit(0)
