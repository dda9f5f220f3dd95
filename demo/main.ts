/**
 * `npm run demo`: servers and clients on Node, Deno and Bun as real processes, each runtime's client calling each runtime's servers.
 * Prints what was seen as tables; exits with 1 if anything was not as promised. `--help` tells more.
 */
import process from "node:process"
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Command as Program, Option as Flag } from "commander"
import * as Chunk from "effect/Chunk"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Stream from "effect/Stream"
import type { Servers } from "./checks/check.ts"
import type { Introduction, Result } from "./client.ts"
import { lines, type Runtime, runtimes, startServer } from "./processes.ts"
import { progress } from "./progress.ts"
import { type Client, render } from "./report.ts"

const { only } = new Program("npm run demo --")
  .description(
    "Starts an echo server and a request server on Node, Deno and Bun, lets a client on each runtime call all of them, " +
      "and prints what was seen. Everything runs on 127.0.0.1 and takes less than a minute."
  )
  .addOption(new Flag("--only <runtime...>", "these runtimes alone").choices(runtimes).default(runtimes, "all"))
  .parse()
  .opts<{ only: ReadonlyArray<Runtime> }>()

const startServers = Effect.forEach(
  only,
  (runtime) =>
    Effect.all({ echo: startServer(runtime, "echo-server"), requests: startServer(runtime, "request-server") })
)

/** A client of one runtime calls the servers of all. What it prints besides its results is not for it to print. */
const call = (client: Runtime, servers: ReadonlyArray<Servers>) =>
  lines(client, "client", ...servers.flatMap(({ echo, requests }) => [echo, requests])).pipe(
    Stream.filter((line) => line.startsWith("{")),
    Stream.map((line) => JSON.parse(line) as Introduction | Result),
    Stream.tap((line) =>
      "check" in line ? progress(`${client} client calls ${only[line.server]} servers`) : Effect.void
    ),
    Stream.runCollect,
    Effect.map((lines): Client => ({ runtime: client, lines: Chunk.toReadonlyArray(lines) }))
  )

const demo = Effect.gen(function* () {
  const startedAt = performance.now()
  yield* progress(`starting ${only.length * 2} servers`)
  const servers = yield* startServers
  const clients = yield* Effect.forEach(only, (runtime) => call(runtime, servers))
  yield* progress("stopping the servers")
  return { servers: only, clients, seconds: (performance.now() - startedAt) / 1000 }
})

// npm passes Ctrl-C on to a process that has had it already: the second must not cut the cleaning up short.
process.on("SIGINT", () => {})

demo.pipe(
  Effect.scoped,
  Effect.ensuring(progress("")),
  Effect.flatMap((findings) => {
    const { passed, text } = render(findings)
    return Effect.zipRight(Console.log(text), passed ? Effect.void : Effect.sync(() => process.exitCode = 1))
  }),
  Effect.catchAll((error) =>
    Effect.zipRight(Console.error(`demo: ${error.message}`), Effect.sync(() => process.exitCode = 1))
  ),
  Effect.provide(NodeContext.layer),
  NodeRuntime.runMain({ teardown: (exit, end) => end(Exit.isSuccess(exit) ? 0 : Exit.isInterrupted(exit) ? 130 : 1) })
)
