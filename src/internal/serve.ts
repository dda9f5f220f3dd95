/**
 * Starting a server: its options checked, its handlers and its clocks made, its addresses bound. What runs then is in `running.ts`.
 */
import * as Effect from "effect/Effect"
import { identity } from "effect/Function"
import type * as Scope from "effect/Scope"
import { type BindError, InvalidOption } from "../NetError.ts"
import { Network } from "../Network.ts"
import type { Running, ServerOptions } from "../Server.ts"
import * as SocketAddress from "../SocketAddress.ts"
import { resolveLimits } from "./admission.ts"
import { makeDeadlines, prepare } from "./bind.ts"
import { Entrance } from "./entrance.ts"
import { Handlers } from "./handlers.ts"
import * as Options from "./options.ts"
import { Patience } from "./patience.ts"
import { RunningImpl } from "./running.ts"
import { regularly } from "./serverMetrics.ts"
import { isTraced, spanName, traced } from "./tracing.ts"
import { Watch } from "./watch.ts"

/** Starts a server in the present scope. */
export const serve = <E, R>(
  options: ServerOptions<E, R>
): Effect.Effect<Running, BindError, Network | Scope.Scope | Exclude<R, Scope.Scope>> =>
  Effect.gen(function* () {
    const { addresses, closeTimeout, drainTimeout, limits, patience } = yield* Options.checked(() => resolve(options))
    const clock = yield* Effect.clock
    const { shortest } = patience
    const watch = shortest === Infinity ? undefined : new Watch(clock, shortest)
    if (watch !== undefined) yield* Effect.forkScoped(Effect.interruptible(watch.run))
    const time = { transport: yield* Network, patience, watch, closing: yield* makeDeadlines(closeTimeout) }
    const places = yield* Effect.forEach(addresses, (address) => SocketAddress.fromInput(address))
    const { handler, name, writeTimeout = "30 seconds" } = options
    const label = { server: name ?? places.join(", ") }
    const handlers = yield* Handlers.make(
      (yield* isTraced) ? traced(spanName, label)(handler) : handler,
      time
    ).pipe(
      name === undefined ? identity : Effect.annotateLogs(label)
    )
    const entrance = new Entrance(handlers, limits, clock, name)
    yield* Effect.addFinalizer(() => Effect.sync(() => entrance.publish(Infinity)))
    yield* regularly(() => entrance.publish())
    const bindings = yield* Effect.forEach(places, (place) =>
      prepare(
        place,
        { ...options, mode: modeOf(place, places, options.mode), writeTimeout },
        (connection, binding) => entrance.offer(connection, binding),
        watch && { clock, paced: patience.pace !== undefined }
      ))
    return yield* RunningImpl.start(bindings, entrance, options, drainTimeout)
  })

/** Among several addresses the permissions are those of the files. */
const modeOf = (
  place: SocketAddress.SocketAddress,
  places: ReadonlyArray<SocketAddress.SocketAddress>,
  mode: number | undefined
): number | undefined => isFile(place) || !places.some(isFile) ? mode : undefined

const isFile = (address: SocketAddress.SocketAddress): boolean =>
  SocketAddress.isUnixAddress(address) && !address.path.startsWith("\0")

const resolve = <E, R>(options: ServerOptions<E, R>) => {
  const drainTimeout = Options.duration("drainTimeout", options.drainTimeout, "15 seconds")
  const { listen } = options
  const addresses = (Array.isArray(listen) ? listen : [listen]) as ReadonlyArray<SocketAddress.AddressInput>
  if (addresses.length === 0) {
    throw new InvalidOption({ option: "listen", value: "[]", expected: "at least one address" })
  }
  return {
    addresses,
    limits: resolveLimits(options),
    patience: new Patience(options, drainTimeout),
    drainTimeout,
    closeTimeout: Options.duration("closeTimeout", options.closeTimeout, "5 seconds")
  }
}
