/**
 * The one place that knows the runtime: @effect/platform's services for Bun, or for Node and Deno.
 * Standard input and the context are loaded when they are first used: they take half of a program's time to start.
 */
import type { NodeContext } from "@effect/platform-node/NodeContext"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"

const load = "Bun" in globalThis
  ? {
    context: () => import("@effect/platform-bun/BunContext"),
    runtime: () => import("@effect/platform-bun/BunRuntime"),
    stream: () => import("@effect/platform-bun/BunStream")
  }
  : {
    context: () => import("@effect/platform-node/NodeContext"),
    runtime: () => import("@effect/platform-node/NodeRuntime"),
    stream: () => import("@effect/platform-node/NodeStream")
  }

export const { runMain } = await load.runtime()

export const stdin: Stream.Stream<Uint8Array> = Stream.unwrap(
  Effect.map(Effect.promise(load.stream), ({ stdin }) => stdin)
)

/** `FileSystem`, `Path`, `Terminal` and the like, for the programs that need them. */
export const context: Layer.Layer<NodeContext> = Layer.unwrapEffect(
  Effect.map(Effect.promise<{ readonly layer: Layer.Layer<NodeContext> }>(load.context), ({ layer }) => layer)
)
