/**
 * A property that every transport must have, as data: a name, where it comes from, what it needs, and an effect that
 * checks it. It runs in a scope of its own over a watched transport, within a guard of time; a defect or a leak is a
 * failure like any other. What a transport cannot do is `unsupported`, and only if it says so by a typed error where an
 * option asks for it.
 */
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Net from "../../src/Net.ts"
import { Network } from "../../src/Network.ts"
import * as Udp from "../../src/Udp.ts"
import type { Capability } from "../../src/Transport.ts"
import { equal, failsWith, PropertyFailure } from "./assert.ts"
import { listen, local, pair, Venue } from "./support.ts"
import * as Witness from "./witness.ts"

/**
 * One property.
 *
 * @category models
 */
export interface Property {
  /** A sentence that is true of a good transport; unique in its group. */
  readonly name: string
  readonly group: string
  /** Where the invariant comes from. */
  readonly source: string
  /** The capabilities without which it cannot hold. */
  readonly needs: ReadonlyArray<Capability>
  /** Succeeds where the property holds. Leaves nothing open. */
  readonly run: Effect.Effect<void, PropertyFailure, Network>
}

/**
 * What became of a property: `detail` says why it failed, or which capability is missing.
 *
 * @category models
 */
export interface Outcome {
  readonly group: string
  readonly name: string
  readonly source: string
  readonly status: "pass" | "fail" | "unsupported"
  readonly detail?: string | undefined
}

/** A property as it is written down in a file of its group. */
export interface Draft {
  readonly name: string
  readonly source: string
  readonly needs?: ReadonlyArray<Capability> | undefined
  readonly run: Effect.Effect<unknown, unknown, Network | Scope.Scope>
}

/** The properties of a group. `guard` is how long one may take before it counts as hanging; all of them need what is `common`. */
export const group = (
  name: string,
  drafts: ReadonlyArray<Draft>,
  guard = "20 seconds" as Duration.DurationInput,
  common: ReadonlyArray<Capability> = []
): ReadonlyArray<Property> =>
  drafts.map(({ needs = [], run, ...draft }) => ({
    ...draft,
    group: name,
    needs: [...common, ...needs],
    run: watched(run, guard)
  }))

const watched = (body: Draft["run"], guard: Duration.DurationInput): Property["run"] =>
  Effect.flatMap(Network, (transport) => {
    const witness = Witness.make(transport)
    return Effect.scoped(body).pipe(
      Effect.provideService(Network, witness.transport),
      Effect.zipRight(witness.verdict),
      // What hangs may hang in a finalizer, which cannot be interrupted.
      Effect.disconnect,
      Effect.timeoutFail({
        duration: guard,
        onTimeout: () => new PropertyFailure({ message: `hangs: not done after ${Duration.format(guard)}` })
      }),
      Effect.catchAllCause((cause) => Effect.fail(asFailure(cause)))
    )
  })

const asFailure = (cause: Cause.Cause<unknown>): PropertyFailure => {
  const error = Cause.squash(cause)
  return error instanceof PropertyFailure ? error : new PropertyFailure({ message: Cause.pretty(cause), cause })
}

/**
 * Checks one property, or that what it needs is refused in so many words.
 *
 * @category running
 */
export const check = (property: Property): Effect.Effect<Outcome, never, Network> =>
  Effect.gen(function* () {
    const { capabilities } = yield* Network
    const { lacks } = yield* Venue
    const { group, name, needs, source } = property
    const missing = needs.filter((capability) => capabilities[capability] === false || lacks.includes(capability))
    const attempt = missing.length === 0 ? property.run : Effect.forEach(missing, isRefused, { discard: true })
    return yield* Effect.match(attempt, {
      onFailure: ({ message }): Outcome => ({ group, name, source, status: "fail", detail: message }),
      onSuccess: (): Outcome =>
        missing.length === 0
          ? { group, name, source, status: "pass" }
          : { group, name, source, status: "unsupported", detail: missing.join(", ") }
    })
  })

/** What asks for a capability. For what no option or method asks it is a gap that only the capabilities tell. */
const asking: Partial<Record<Capability, Draft["run"]>> = {
  reset: Effect.flatMap(pair({ client: { resettable: true } }), ({ client }) => client.reset),
  reusePort: listen({ reusePort: true }),
  ipv6Only: listen({ ipv6Only: true }),
  keepAliveDelay: listen({ keepAlive: "1 minute" }),
  localAddress: Net.connect("127.0.0.1:9", { localAddress: "127.0.0.1" }),
  unixAbstract: Net.listen({ path: "\0effect-netkit" }),
  datagram: Udp.bind(local),
  datagramReusePort: Udp.bind(local, { reusePort: true }),
  datagramBuffers: Udp.bind(local, { recvBufferSize: 65536 })
}

const isRefused = (capability: Capability): Effect.Effect<void, PropertyFailure, Network> => {
  const attempt = asking[capability]
  if (attempt === undefined) return Effect.void
  return Effect.gen(function* () {
    const error = yield* failsWith(Effect.scoped(attempt), `asking for ${capability}`, "Unsupported")
    yield* equal(Reflect.get(Object(error), "capability"), capability, "capability of the error")
  })
}
