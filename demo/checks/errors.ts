/**
 * What goes wrong is a value with a tag, the same on every runtime, caught by its tag; its message can be shown to people as it is.
 */
import * as Effect from "effect/Effect"
import { Net } from "effect-netkit"
import { type Check, failed, passed } from "./check.ts"

/** Nobody listens at a port that was free a moment ago. */
export const refusedConnect: Check = () =>
  Effect.gen(function* () {
    const { address } = yield* Effect.scoped(Net.listen({ host: "127.0.0.1", port: 0 }))
    return yield* Net.connect(address).pipe(
      Effect.as(failed("it connected")),
      Effect.catchTag("ConnectionRefused", (error) => Effect.succeed(passed(error._tag, error.message)))
    )
  })

/** The echo server has its port already. */
export const busyPort: Check = (servers) =>
  Net.listen(servers.echo).pipe(
    Effect.as(failed("it listens")),
    Effect.catchTag("AddressInUse", (error) => Effect.succeed(passed(error._tag, error.message)))
  )
