/**
 * Runs the conformance suite in the runtime it is started with and prints a line of JSON for each outcome.
 * `scripts/conformance.ts` starts this under Node, Deno and Bun.
 */
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import { run } from "../test/conformance/index.ts"
import { runs, runtime } from "../test/support/conformance.ts"

const print = (value: object) => Effect.sync(() => console.log(JSON.stringify(value)))

const version = "Deno" in globalThis
  ? process.versions["deno"]
  : "Bun" in globalThis
  ? process.versions["bun"]
  : process.versions.node

/** The output is for outcomes alone. */
const logger = Logger.replace(Logger.defaultLogger, Logger.withConsoleError(Logger.stringLogger))

const program = Effect.forEach(
  runs,
  ({ layer, name, options, properties }) =>
    run({ ...options, properties, onOutcome: (outcome) => print({ run: name, ...outcome }) }).pipe(
      Effect.provide(layer)
    )
)

await Effect.runPromise(
  Effect.zipRight(print({ runtime, version, count: runs.flatMap((run) => run.properties).length }), program).pipe(
    Effect.provide(logger)
  )
)
process.exit(0)
