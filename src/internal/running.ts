/**
 * The life of a server that runs: it listens, is suspended and resumed, and drains once. Stopping accepting is always synchronous, and
 * comes first; what has to be waited for is waited for by one fiber of the server's own, so that nobody's interruption leaves a drain half done.
 */
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import type * as Scope from "effect/Scope"
import type { BindError } from "../NetError.ts"
import type { DrainReport, Running, ServerStatus } from "../Server.ts"
import type { SocketAddress } from "../SocketAddress.ts"
import { type LimitOptions, resolveLimits } from "./admission.ts"
import type { Binding } from "./bind.ts"
import type { Entrance } from "./entrance.ts"
import type { Handlers } from "./handlers.ts"
import * as Options from "./options.ts"
import * as Group from "./serverGroup.ts"
import type { ConnectionInfo } from "./session.ts"
import { cancelable } from "./suspension.ts"

/** How long a server that another one of its group has halted may be closed itself before it listens again. */
const grace = Duration.seconds(1)

export class RunningImpl implements Running, Group.GroupMember {
  readonly addresses: ReadonlyArray<SocketAddress>
  readonly #bindings: ReadonlyArray<Binding>
  readonly #entrance: Entrance
  readonly #handlers: Handlers
  readonly #drainTimeout: Duration.Duration
  readonly #report = Deferred.unsafeMake<DrainReport>(FiberId.none)
  readonly #opening = Effect.unsafeMakeSemaphore(1)
  #suspended = false
  #halts = 0
  #stopped = false
  #limits: LimitOptions
  readonly #lookers = new Set<() => void>()
  #reviving: Fiber.RuntimeFiber<void> | undefined

  /** Listens everywhere or, where one fails, nowhere; drains when the scope closes. */
  static start(
    bindings: ReadonlyArray<Binding>,
    entrance: Entrance,
    limits: LimitOptions,
    drainTimeout: Duration.Duration
  ): Effect.Effect<RunningImpl, BindError, Scope.Scope> {
    return Effect.uninterruptibleMask((restore) =>
      Effect.gen(function* () {
        yield* Effect.onError(restore(openAll(bindings)), () => closeAll(bindings))
        const self = new RunningImpl(bindings, entrance, limits, drainTimeout)
        const group = yield* Group.join(self)
        yield* Effect.addFinalizer(() => Group.leave(group, self, self.stop))
        entrance.bindings = bindings
        entrance.regulate()
        return self
      })
    )
  }

  private constructor(
    bindings: ReadonlyArray<Binding>,
    entrance: Entrance,
    limits: LimitOptions,
    drainTimeout: Duration.Duration
  ) {
    this.addresses = bindings.map(({ address }) => address)
    this.#bindings = bindings
    this.#entrance = entrance
    this.#handlers = entrance.handlers
    this.#limits = limits
    this.#drainTimeout = drainTimeout
  }

  get address(): SocketAddress {
    return this.addresses[0]!
  }

  readonly status: Effect.Effect<ServerStatus> = Effect.sync(() => this.#entrance.status)

  readonly connections: Effect.Effect<ReadonlyArray<ConnectionInfo>> = Effect.sync(() => this.#entrance.connections)

  get awaitConnections(): Running["awaitConnections"] {
    return (comparison, count) =>
      cancelable<void>((resume) => {
        const look = () => {
          if (!comparisons[comparison](this.#handlers.count, count)) return
          this.#lookers.delete(look)
          resume(Effect.void)
        }
        this.#lookers.add(look)
        this.#handlers.onCount = () => {
          for (const look of this.#lookers) look()
        }
        look()
        return Effect.sync(() => void this.#lookers.delete(look))
      })
  }

  get update(): Running["update"] {
    return (limits) =>
      Options.valid(() => {
        const changed = { ...this.#limits, ...limits }
        this.#entrance.change(resolveLimits(changed))
        this.#limits = changed
      })
  }

  readonly suspend: Effect.Effect<void> = Effect.suspend(() => {
    this.#suspended = true
    return closeAll(this.#bindings)
  })

  readonly resume: Effect.Effect<void, BindError> = Effect.suspend(() => {
    this.#suspended = false
    return this.#open
  })

  // --- the end ---

  readonly drained: Effect.Effect<DrainReport> = Deferred.await(this.#report)

  readonly stop: Effect.Effect<DrainReport> = Effect.suspend(() => {
    if (!this.#stopped) {
      this.#stopped = true
      this.#reviving?.unsafeInterruptAsFork(FiberId.none)
      for (const binding of this.#bindings) binding.close()
      this.#handlers.fork(this.#drain)
    }
    return this.drained
  })

  readonly #drain: Effect.Effect<void> = Effect.suspend(() => {
    const { count } = this.#handlers
    let cutOff = 0
    this.#entrance.close()
    this.#handlers.stop()
    const deadline = Effect.map(Effect.sleep(this.#drainTimeout), () => cutOff = this.#handlers.cutOff())
    return Effect.raceFirst(this.#handlers.empty, deadline).pipe(
      Effect.zipRight(this.#handlers.empty),
      Effect.zipRight(closeAll(this.#bindings)),
      Effect.timed,
      Effect.flatMap(([duration]) => {
        const { closedIdle } = this.#handlers
        const report = { finished: count - closedIdle - cutOff, closedIdle, cutOff, duration }
        return Effect.zipRight(logged(report, this.addresses), Deferred.succeed(this.#report, report))
      })
    )
  })

  // --- as one of several ---

  halt(): void {
    this.#halts++
    for (const binding of this.#bindings) binding.close()
  }

  revive(): void {
    if (--this.#halts > 0 || this.#stopped) return
    this.#reviving?.unsafeInterruptAsFork(FiberId.none)
    this.#reviving = this.#handlers.fork(
      Effect.zipRight(Effect.sleep(grace), this.#open).pipe(
        Effect.catchAll((error) => Effect.logError(`cannot listen again: ${error.message}`))
      )
    )
  }

  /** Where it does not listen, though it may. */
  readonly #open: Effect.Effect<void, BindError> = this.#opening.withPermits(1)(Effect.suspend(() => {
    if (this.#stopped || this.#suspended || this.#halts > 0) return Effect.void
    return Effect.onError(openAll(this.#bindings), () => closeAll(this.#bindings)).pipe(
      Effect.tap(() => {
        if (this.#stopped || this.#suspended || this.#halts > 0) return closeAll(this.#bindings)
        this.#entrance.regulate()
      })
    )
  }))
}

const comparisons = {
  "<": (a: number, b: number) => a < b,
  "<=": (a: number, b: number) => a <= b,
  "==": (a: number, b: number) => a === b,
  ">=": (a: number, b: number) => a >= b,
  ">": (a: number, b: number) => a > b
} as const

const openAll = (bindings: ReadonlyArray<Binding>): Effect.Effect<void, BindError> =>
  Effect.forEach(bindings, (binding) => binding.open, { discard: true })

/** Closes all before it waits for any. */
const closeAll = (bindings: ReadonlyArray<Binding>): Effect.Effect<void> =>
  Effect.suspend(() => {
    for (const binding of bindings) binding.close()
    return Effect.forEach(bindings, (binding) => binding.closed, { discard: true })
  })

const logged = (report: DrainReport, addresses: ReadonlyArray<SocketAddress>): Effect.Effect<void> => {
  const { closedIdle, cutOff, duration, finished } = report
  const log = cutOff > 0 ? Effect.logInfo : Effect.logDebug
  const millis = Math.round(Duration.toMillis(duration))
  return log(
    `server on ${
      addresses.join(", ")
    } drained in ${millis} ms: ${finished} finished, ${closedIdle} idle, ${cutOff} cut off`
  )
}
