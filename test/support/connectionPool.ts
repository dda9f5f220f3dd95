/**
 * What tests of `ConnectionPool` share: things that can be pooled and are seen to be closed, and borrowers.
 */
import { Effect, ExecutionStrategy, Exit, Scope } from "effect"
import { ConnectionPool } from "effect-netkit"

/** Waits for what other fibers and the network have under way. */
export const settle = Effect.promise(() => new Promise((resolve) => setTimeout(resolve)))

/** Things that can be pooled: numbered, and seen to be closed. */
export class Things {
  opened = 0
  open = new Set<Thing>()
  most = 0
  readonly acquire = Effect.acquireRelease(
    Effect.sync(() => {
      const thing = new Thing(++this.opened)
      this.open.add(thing)
      this.most = Math.max(this.most, this.open.size)
      return thing
    }),
    (thing) => Effect.sync(() => void this.open.delete(thing))
  )
}

export class Thing {
  readonly id: number
  constructor(id: number) {
    this.id = id
  }
}

export type Pool<A, E = never> = ConnectionPool.ConnectionPool<A, E>

/** One that is borrowed until told to end. */
export const borrow = <A, E>(pool: Pool<A, E>) =>
  Effect.gen(function* () {
    const scope = yield* Scope.fork(yield* Effect.scope, ExecutionStrategy.sequential)
    const item = yield* Scope.extend(pool.get, scope)
    return { item, end: (exit: Exit.Exit<unknown, unknown> = Exit.void) => Scope.close(scope, exit) }
  })

export const idOf = <E>(pool: Pool<Thing, E>) => pool.use((thing) => Effect.succeed(thing.id))

export const tagOf = <A, E extends { readonly _tag: string }, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.map(Effect.flip(effect), (error) => error._tag)
