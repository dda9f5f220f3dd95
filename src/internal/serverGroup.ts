/**
 * Servers that end together: those of one composition of Layers, or of one Scope. Finalizers run one after the other, so the last server
 * would go on accepting while the first drains. Here the first that is closed makes all of them stop accepting.
 * One that turns out to stay, because only a part of the composition was closed, listens again.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"

export interface GroupMember {
  /** Stops listening at once. */
  halt(): void
  /** Whoever halted it is closed: it may listen again, unless it is closed now itself. */
  revive(): void
}

const groups = new WeakMap<object, Set<GroupMember>>()

/** Joins the servers of the present Layers, else those of the present Scope; gives the group. */
export const join = (member: GroupMember): Effect.Effect<Set<GroupMember>, never, Scope.Scope> =>
  Effect.contextWith((context: Context.Context<Scope.Scope>) => {
    // A reference has a default, which is one for all programs: only a memo map that is really there means a composition.
    const key = context.unsafeMap.has(Layer.CurrentMemoMap.key)
      ? Context.get(context, Layer.CurrentMemoMap)
      : Context.get(context, Scope.Scope)
    const group = groups.get(key) ?? new Set()
    groups.set(key, group)
    return group.add(member)
  })

/** Leaves the group, whose others stop listening until `closed` is done. */
export const leave = <A>(
  group: Set<GroupMember>,
  member: GroupMember,
  closed: Effect.Effect<A>
): Effect.Effect<A> =>
  Effect.suspend(() => {
    group.delete(member)
    const others = [...group]
    for (const other of others) other.halt()
    return Effect.tap(closed, () => others.forEach((other) => other.revive()))
  })
