/** How a handler learns that its server drains: a reference in the context that handlers run with, told once a server. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"

export class Draining extends Context.Reference<Draining>()("effect-netkit/Server/Draining", {
  defaultValue: (): Effect.Effect<void> => Effect.never
}) {}
