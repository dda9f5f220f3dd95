/**
 * The conformance suite: what every transport must do, written against the public API, independent of a test runner.
 * Run it over a transport of your own by providing a `Network` made from it; every outcome comes with its reason.
 * What only the process can measure (descriptors, memory) is measured where the gauges are given.
 */
import * as Effect from "effect/Effect"
import type { Network } from "../../src/Network.ts"
import type { AddressInput } from "../../src/SocketAddress.ts"
import type { Capability } from "../../src/Transport.ts"
import { churn } from "./churn.ts"
import { closeOrder } from "./closeOrder.ts"
import { datagram } from "./datagram.ts"
import { datagramPeers } from "./datagramPeers.ts"
import { datagramServer } from "./datagramServer.ts"
import { deadlines } from "./deadlines.ts"
import { liveness } from "./liveness.ts"
import { names } from "./names.ts"
import { nettest } from "./nettest.ts"
import { options } from "./options.ts"
import { ordering } from "./ordering.ts"
import { check, type Outcome, type Property } from "./Property.ts"
import { regressions } from "./regressions.ts"
import { server } from "./server.ts"
import { serverPolicies } from "./serverPolicies.ts"
import { teardown } from "./teardown.ts"
import { Gauges, Venue } from "./support.ts"

export { PropertyFailure } from "./assert.ts"
export { check, type Outcome, type Property } from "./Property.ts"

/**
 * Every property, group by group.
 *
 * @category properties
 */
export const properties: ReadonlyArray<Property> = [
  ...nettest,
  ...regressions,
  ...closeOrder,
  ...teardown,
  ...ordering,
  ...liveness,
  ...deadlines,
  ...server,
  ...serverPolicies,
  ...options,
  ...names,
  ...churn,
  ...datagram,
  ...datagramPeers,
  ...datagramServer
]

/**
 * How to run the suite.
 *
 * @category options
 */
export interface RunOptions {
  /** The properties to check. Default all. */
  readonly properties?: ReadonlyArray<Property> | undefined
  /** Gives a free address for each listener. Default port 0 of 127.0.0.1. */
  readonly listen?: Effect.Effect<AddressInput> | undefined
  /** Capabilities that sockets at such addresses lack, though the transport has them: `reset`, for Unix sockets. */
  readonly lacks?: ReadonlyArray<Capability> | undefined
  /** The number of descriptors that the process has open. */
  readonly descriptors?: Effect.Effect<number> | undefined
  /** The bytes of memory that the process takes. */
  readonly memory?: Effect.Effect<number> | undefined
  /** Called with each outcome as it comes. */
  readonly onOutcome?: ((outcome: Outcome) => Effect.Effect<void>) | undefined
}

/**
 * Checks the properties one after the other. Never fails: a property that does not hold is an outcome.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { run } from "effect-netkit/testing"
 * import { MemoryNetwork } from "effect-netkit/memory"
 *
 * const failures = run().pipe(
 *   Effect.map((outcomes) => outcomes.filter(({ status }) => status === "fail")),
 *   Effect.provide(MemoryNetwork.layer)
 * )
 * ```
 *
 * @category running
 */
export const run = (options: RunOptions = {}): Effect.Effect<ReadonlyArray<Outcome>, never, Network> =>
  Effect.forEach(
    options.properties ?? properties,
    (property) => Effect.tap(provideOptions(check(property), options), options.onOutcome ?? (() => Effect.void))
  )

/**
 * Gives one check the options of a run; for a test runner that makes a test of each property.
 *
 * @category running
 */
export const provideOptions = <A, E, R>(self: Effect.Effect<A, E, R>, options: RunOptions): Effect.Effect<A, E, R> => {
  const gauged = Effect.provideService(self, Gauges, { descriptors: options.descriptors, memory: options.memory })
  return options.listen === undefined
    ? gauged
    : Effect.provideService(gauged, Venue, { address: options.listen, lacks: options.lacks ?? [] })
}
