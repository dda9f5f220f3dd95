/**
 * A Scope that comes into being with its first finalizer: a handler that needs none, as most do, does not pay for one
 * (6 to 8 microseconds a connection on Node, as much as all else that the server adds).
 * Effect reaches a Scope by these three methods and, in `forkIn` and `forkScoped`, by its `state`.
 */
import * as Effect from "effect/Effect"
import * as ExecutionStrategy from "effect/ExecutionStrategy"
import type * as Exit from "effect/Exit"
import * as Pipeable from "effect/Pipeable"
import * as Scope from "effect/Scope"

type Finalizer = (exit: Exit.Exit<unknown, unknown>) => Effect.Effect<unknown>

export class LazyScope extends Pipeable.Class() implements Scope.CloseableScope {
  #scope: Scope.CloseableScope | undefined

  // Getters: fields of their own would be three more words a connection.
  get [Scope.ScopeTypeId](): Scope.ScopeTypeId {
    return Scope.ScopeTypeId
  }

  get [Scope.CloseableScopeTypeId](): Scope.CloseableScopeTypeId {
    return Scope.CloseableScopeTypeId
  }

  get strategy(): ExecutionStrategy.ExecutionStrategy {
    return ExecutionStrategy.sequential
  }

  /** Whether there is anything to close. */
  get used(): boolean {
    return this.#scope !== undefined
  }

  get state(): unknown {
    return (this.#made as unknown as { readonly state: unknown }).state
  }

  addFinalizer(finalizer: Finalizer): Effect.Effect<void> {
    return Scope.addFinalizerExit(this.#made, finalizer)
  }

  fork(strategy: ExecutionStrategy.ExecutionStrategy): Effect.Effect<Scope.CloseableScope> {
    return Scope.fork(this.#made, strategy)
  }

  close(exit: Exit.Exit<unknown, unknown>): Effect.Effect<void> {
    return Scope.close(this.#made, exit)
  }

  get #made(): Scope.CloseableScope {
    return this.#scope ??= Effect.runSync(Scope.make())
  }
}
