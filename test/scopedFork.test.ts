import { describe, expect, it } from "@effect/vitest"
import { Context, Effect, Equal, Fiber, FiberRef, Scope } from "effect"
import { Net, Server } from "effect-netkit"
import { MemoryNetwork } from "effect-netkit/memory"
import { MapView } from "../src/internal/mapView.ts"

class View extends MapView<string, number> {
  protected readonly own = [["own", 0]] as const
  get(key: string) {
    return key === "own" ? 0 : this.shared.get(key)
  }
  has(key: string) {
    return key === "own" || this.shared.has(key)
  }
}

describe("MapView", () => {
  it("reads as a Map of all entries", () => {
    for (const shared of [[], [["a", 1]], [["a", 1], ["b", 2]]] as const) {
      const view = new View(new Map(shared))
      const map = new Map<string, number>([...shared, ["own", 0]])
      expect(view.size).toBe(map.size)
      expect([...view]).toEqual([...map])
      expect([...view.entries()]).toEqual([...map.entries()])
      expect([...view.keys()]).toEqual([...map.keys()])
      expect([...view.values()]).toEqual([...map.values()])
      for (const key of ["a", "b", "own", "none"]) {
        expect([view.has(key), view.get(key)]).toEqual([map.has(key), map.get(key)])
      }
      const visited: Array<unknown> = []
      view.forEach((value, key, self) => visited.push([key, value, self === view]))
      expect(visited).toEqual([...map].map(([key, value]) => [key, value, true]))
      expect(new Map(view.map)).toEqual(map)
    }
  })
})

describe("the fiber of a handler", () => {
  class Outer extends Context.Tag("Outer")<Outer, string>() {}
  class Inner extends Context.Tag("Inner")<Inner, string>() {}
  const inherited = FiberRef.unsafeMake("default")
  const local = FiberRef.unsafeMake("default")

  const served = <A, E>(handler: Effect.Effect<A, E, Outer | Scope.Scope>) =>
    Effect.gen(function* () {
      let result: A | undefined
      const { address } = yield* Server.serve(Server.make({
        listen: "127.0.0.1:0",
        handler: () => Effect.map(handler, (value) => void (result = value))
      }))
      yield* (yield* Net.connect(address)).read
      return result
    }).pipe(
      Effect.scoped,
      Effect.locally(inherited, "of the server"),
      Effect.provideService(Outer, "outer"),
      Effect.provide(MemoryNetwork.layer)
    )

  it.effect("has the services of its server and a Scope of its own", () =>
    Effect.gen(function* () {
      const seen = yield* served(Effect.gen(function* () {
        const context = yield* Effect.context<Outer | Scope.Scope>()
        const scope = yield* Effect.scope
        const merged = Context.merge(context, Context.make(Inner, "inner"))
        return {
          scope: Context.get(context, Scope.Scope) === scope && Context.get(merged, Scope.Scope) === scope,
          tags: [Context.get(merged, Outer), Context.get(merged, Inner), yield* Outer],
          picked: [...Context.pick(Outer)(context).unsafeMap.values()],
          omitted: Context.omit(Scope.Scope)(context).unsafeMap.has(Scope.Scope.key),
          equal: Equal.equals(context, Context.merge(Context.empty(), context)),
          within: yield* Effect.provideService(Effect.all([Inner, Outer]), Inner, "provided"),
          size: context.unsafeMap.size === [...context.unsafeMap].length
        }
      }))
      expect(seen).toEqual({
        scope: true,
        tags: ["outer", "inner", "outer"],
        picked: ["outer"],
        omitted: false,
        equal: true,
        within: ["provided", "outer"],
        size: true
      })
    }))

  it.effect("inherits references, keeps what it sets to itself and its children, and gets theirs when it asks", () =>
    Effect.gen(function* () {
      const seen = yield* served(Effect.gen(function* () {
        const before = [yield* FiberRef.get(inherited), yield* FiberRef.get(local)]
        yield* FiberRef.set(local, "set")
        const child = yield* Effect.fork(Effect.zipRight(
          Effect.tap(FiberRef.get(local), () => FiberRef.set(local, "of the child")),
          Effect.all([FiberRef.get(inherited), FiberRef.get(local), Outer])
        ))
        const ofChild = yield* Fiber.await(child)
        const apart = yield* FiberRef.get(local)
        yield* Fiber.inheritAll(child)
        return { before, ofChild: yield* ofChild, apart, joined: yield* FiberRef.get(local), outer: yield* Outer }
      }))
      expect(seen).toEqual({
        before: ["of the server", "default"],
        ofChild: ["of the server", "of the child", "outer"],
        apart: "set",
        joined: "of the child",
        outer: "outer"
      })
      expect(yield* FiberRef.get(local)).toBe("default")
    }))
})
