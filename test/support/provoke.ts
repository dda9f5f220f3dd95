/**
 * Tries to open what its arguments say, in JSON, and prints the reports of the errors. `test/errors.test.ts` starts
 * this in a network namespace, without privileges, without permissions, or with few descriptors.
 */
import * as Effect from "effect/Effect"
import { RuntimeNetwork } from "../../adapters/runtime/index.ts"
import * as Net from "../../src/Net.ts"
import { reportOf } from "./report.ts"

interface Attempt {
  readonly open: "connect" | "listen"
  readonly address: string
  readonly options?: Net.ConnectOptions & Net.ListenOptions
  /** Once more until it fails, all open together. */
  readonly untilFailure?: boolean
}

const attempts: ReadonlyArray<Attempt> = JSON.parse(process.argv[2]!)

const tried = ({ address, open, options, untilFailure = false }: Attempt) => {
  const once = open === "connect"
    ? Effect.asVoid(Net.connect(address, options))
    : Effect.asVoid(Net.listen(address, options))
  return Effect.scoped(reportOf(untilFailure ? Effect.forever(once) : once))
}

const reports = await Effect.runPromise(Effect.forEach(attempts, tried).pipe(Effect.provide(RuntimeNetwork.layer)))
console.log(JSON.stringify(reports))
process.exit(0)
