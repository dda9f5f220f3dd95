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
import type { Line } from "./client.ts"
import { lines, type Runtime, runtimes, startServer } from "./processes.ts"
import { progress } from "./progress.ts"
import { type Pair, render } from "./report.ts"

const { only } = new Program("npm run demo --")
  .description(
    "Starts an echo server and a request server on Node, Deno and Bun, lets a client on each runtime call all of them, " +
      "and prints what was seen. Everything runs on 127.0.0.1 and takes less than a minute."
  )
  .addOption(new Flag("--only <runtime...>", "these runtimes alone").choices(runtimes).default(runtimes, "all"))
  .parse()
  .opts<{ only: ReadonlyArray<Runtime> }>()

const servers = Effect.all({
  echo: Effect.forEach(only, (runtime) => startServer(runtime, "echo-server"), { concurrency: 2 }),
  requests: Effect.forEach(only, (runtime) => startServer(runtime, "request-server"), { concurrency: 2 })
})

const call = (client: Runtime, server: Runtime, echo: string, requests: string) =>
  lines(client, "client", echo, requests).pipe(
    Effect.map((lines): Pair => ({
      client,
      server,
      lines: Chunk.toArray(lines).filter(isResult).map((line) => JSON.parse(line) as Line)
    }))
  )

const isResult = (line: string) => line.startsWith("{")

const demo = Effect.gen(function*() {
  const startedAt = performance.now()
  const pairs: Array<Pair> = []
  yield* progress(`starting ${only.length * 2} servers`)
  const { echo, requests } = yield* servers
  for (const client of only) {
    for (const [index, server] of only.entries()) {
      yield* progress(`${client} client calls ${server} servers (${pairs.length + 1} of ${only.length ** 2})`)
      pairs.push(yield* call(client, server, echo[index]!, requests[index]!))
    }
  }
  yield* progress("stopping the servers")
  return { pairs, seconds: (performance.now() - startedAt) / 1000 }
})

// npm passes Ctrl-C on to a process that has had it already: the second must not cut the cleaning up short.
process.on("SIGINT", () => {})

demo.pipe(
  Effect.scoped,
  Effect.ensuring(progress("")),
  Effect.flatMap(({ pairs, seconds }) => {
    const { passed, text } = render(pairs, seconds)
    return Effect.zipRight(Console.log(text), passed ? Effect.void : Effect.sync(() => process.exitCode = 1))
  }),
  Effect.catchAll((error) =>
    Effect.zipRight(Console.error(`demo: ${error.message}`), Effect.sync(() => process.exitCode = 1))
  ),
  Effect.provide(NodeContext.layer),
  NodeRuntime.runMain({ teardown: (exit, end) => end(Exit.isSuccess(exit) ? 0 : Exit.isInterrupted(exit) ? 130 : 1) })
)
