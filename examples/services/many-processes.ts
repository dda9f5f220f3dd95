/**
 * One server in as many processes as there are cores: each line comes back with the number of the process that has read it.
 * This server first:  npm run -s example -- many-processes --port 7788 --workers 4
 * then clients:       nc 127.0.0.1 7788    SIGTERM to the first process drains them all; exit code 1 if that cut somebody off
 */
import * as Console from "effect/Console"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { FramedServer, Framing, Network } from "effect-netkit"
import { availableParallelism } from "node:os"
import process from "node:process"
import * as Flags from "../lib/Flags.ts"
import * as Processes from "../lib/Processes.ts"
import { run } from "../lib/Program.ts"
import { listening } from "../lib/Sessions.ts"

const flags = {
  ...Flags.server,
  workers: Flags.withDefault("count", "how many processes serve", Flags.count, availableParallelism()),
  drain: Flags.withDefault(
    "seconds",
    "how long connections may go on after a signal",
    Flags.seconds,
    Duration.seconds(2)
  )
}

run(import.meta.url, flags, ({ drain, workers, ...options }) => {
  const port = Processes.workerPort
  if (port === undefined) {
    const endTimeout = Duration.sum(drain, Duration.seconds(5))
    return Processes.supervise({ url: import.meta.url, port: options.port, workers, endTimeout })
  }
  let lines = 0
  return Effect.gen(function* () {
    const { capabilities: { reusePort } } = yield* Network.Network
    const server = FramedServer.make({
      ...listening({ ...options, port }),
      drainTimeout: drain,
      reusePort,
      codec: Framing.lines().pipe(Framing.text()),
      handler: () => (line) => {
        lines++
        return `${process.pid} ${line}`
      }
    })
    yield* Effect.ensuring(
      Processes.work(server),
      Effect.suspend(() => Console.log(`process ${process.pid} has answered ${lines} lines`))
    )
  })
})
