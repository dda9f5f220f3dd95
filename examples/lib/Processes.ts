/**
 * One server in many processes: a parent that takes no connections starts the workers, starts again those that crash, and ends all together.
 * Where the runtime can (`capabilities.reusePort`), each worker has a listening socket of its own on one port and the kernel spreads the
 * connections; Node before 23.1 does it through `node:cluster`, whose primary accepts and hands them out in turn.
 */
import { type NetError, Network, type Server, SocketAddress } from "effect-netkit"
import * as Console from "effect/Console"
import * as Data from "effect/Data"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type { Scope } from "effect/Scope"
import { type ChildProcess, spawn } from "node:child_process"
import cluster from "node:cluster"
import process from "node:process"
import { fileURLToPath } from "node:url"

/** In the environment of a worker: the port that it has to take. */
const variable = "NETKIT_WORKER_PORT"

// --- a worker ---

/** The port that this process has to take as a worker; none in the parent. */
export const workerPort: number | undefined = process.env[variable] === undefined
  ? undefined
  : Number(process.env[variable])

/** Connections that had not ended in time were reset. */
export class CutOff extends Data.TaggedError("CutOff")<{ readonly connections: number }> {
  override get message(): string {
    return `process ${process.pid}: connections cut off: ${this.connections}`
  }
}

/**
 * Runs the server in a worker: tells the parent where it listens, and drains at a signal, or when the parent is gone. Fails with `CutOff`
 * where that took longer than its `drainTimeout`.
 */
export const work = <R>(
  server: Server.Server<R>
): Effect.Effect<void, CutOff | NetError.BindError, Network.Network | Scope | R> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.gen(function* () {
      const running = yield* restore(server.serve)
      // Without this, node:cluster ends the worker at once when the parent is gone.
      if (cluster.worker !== undefined) cluster.worker.exitedAfterDisconnect = true
      process.once("disconnect", () => process.kill(process.pid, "SIGTERM"))
      process.send?.(String(running.address))
      yield* Effect.exit(restore(Effect.never))
      const { cutOff } = yield* running.stop
      if (cutOff > 0) yield* new CutOff({ connections: cutOff })
    })
  )

// --- the parent ---

export interface Options {
  /** The program's own file, which its workers run too. */
  readonly url: string
  /** The port to listen on; with 0 the first worker takes a free one, which the others share. */
  readonly port: number
  readonly workers: number
  /** How long a worker may take to end before it is killed. Longer than the `drainTimeout` of its server. */
  readonly endTimeout: Duration.Duration
}

/** Workers that did not end as they should have. */
export class EndedBadly extends Data.TaggedError("EndedBadly")<{ readonly workers: number }> {
  override get message(): string {
    return `workers that cut connections off, or had to be killed: ${this.workers}`
  }
}

/** A worker that ended though nobody had told it to. */
class Crashed extends Data.TaggedError("Crashed")<{ readonly how: string }> {
  override get message(): string {
    return `ended by itself (${this.how})`
  }
}

/** From one start of a worker to the next: 0.1 seconds, doubled up to half a minute, and from the beginning after a minute of health. */
const backoff = Schedule.exponential("100 millis").pipe(
  Schedule.union(Schedule.spaced("30 seconds")),
  Schedule.jittered,
  Schedule.resetAfter("1 minute")
)

/**
 * Starts the workers and keeps them going until it is interrupted; then ends them all and fails with `EndedBadly` if one did not end well.
 * A worker that cannot even start the first time is a failure too: what it has to say stands on standard error.
 */
export const supervise = (
  options: Options
): Effect.Effect<never, Crashed | EndedBadly, Network.Network> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.gen(function* () {
      const { capabilities, runtime } = yield* Network.Network
      const clustered = runtime === "node" && !capabilities.reusePort
      const launch = clustered ? forkWorker : spawnWorker
      const listening = yield* Effect.replicateEffect(Deferred.make<string>(), options.workers)
      const announced = yield* Effect.makeLatch()
      let bad = 0
      const end = (worker: Worker) => Effect.map(stop(worker, options.endTimeout), (well) => void (bad += well ? 0 : 1))
      const [first] = listening as [Deferred.Deferred<string>]
      // Also the first worker, started again, has to take the port that the others share.
      const port = Effect.gen(function* () {
        const known = !clustered && (yield* Deferred.isDone(first))
        return known ? portOf(yield* Deferred.await(first)) : options.port
      })
      const keep = (id: number, ready: Deferred.Deferred<string>) =>
        Effect.scoped(Effect.gen(function* () {
          const place = yield* port
          const worker = yield* Effect.acquireRelease(start(() => launch(options.url, place)), end)
          yield* Deferred.succeed(ready, yield* Effect.raceFirst(Deferred.await(worker.listening), crash(worker)))
          yield* Effect.zipRight(announced.await, Console.log(`worker ${id} is process ${worker.process.pid}`))
          return yield* crash(worker)
        })).pipe(
          Effect.tapError((error) => Console.error(`worker ${id} ${error.message}`)),
          Effect.retry({ schedule: backoff, while: () => Deferred.isDone(ready) })
        )
      const workers = listening.map((ready, id) =>
        id === 0 ? keep(id, ready) : Effect.zipRight(Deferred.await(first), keep(id, ready))
      )
      const announce = Effect.gen(function* () {
        yield* Effect.forEach(listening, Deferred.await)
        yield* Console.log(`listening on ${yield* Deferred.await(first)}`)
        yield* announced.open
      })
      const exit = yield* Effect.exit(restore(Effect.all([...workers, announce], { concurrency: "unbounded" })))
      if (bad > 0) return yield* new EndedBadly({ workers: bad })
      return yield* Effect.zipRight(exit, Effect.never)
    })
  )

const portOf = (address: string): number => (SocketAddress.unsafeParse(address) as SocketAddress.InetAddress).port

// --- one process ---

interface Worker {
  readonly process: ChildProcess
  readonly listening: Deferred.Deferred<string>
  /** The exit code, or the signal that killed it. */
  readonly ended: Deferred.Deferred<number | NodeJS.Signals>
}

type Launch = (url: string, port: number) => ChildProcess

const stdio = ["ignore", "inherit", "inherit", "ipc"] as const

/** A process of its own, with the flags of this one. Deno has `reusePort` behind a flag. */
const spawnWorker: Launch = (url, port) => {
  const flags = "Deno" in globalThis ? ["run", "-A", "--unstable-net"] : process.execArgv
  return spawn(process.execPath, [...flags, fileURLToPath(url), ...process.argv.slice(2)], {
    env: { ...process.env, [variable]: String(port) },
    stdio: [...stdio]
  })
}

/** A process whose `listen` goes through this one, which knows a socket by the port that was asked for: 0 is the same one for all. */
const forkWorker: Launch = (url, port) => {
  cluster.setupPrimary({ exec: fileURLToPath(url), args: process.argv.slice(2), stdio: [...stdio] })
  return cluster.fork({ [variable]: String(port) }).process
}

const start = (launch: () => ChildProcess): Effect.Effect<Worker> =>
  Effect.gen(function* () {
    const listening = yield* Deferred.make<string>()
    const ended = yield* Deferred.make<number | NodeJS.Signals>()
    const child = launch()
    child.on("message", (message) => {
      // node:cluster talks over the same channel.
      if (typeof message === "string") Deferred.unsafeDone(listening, Effect.succeed(message))
    })
    child.on("exit", (code, signal) => Deferred.unsafeDone(ended, Effect.succeed(signal ?? code ?? 0)))
    return { process: child, listening, ended }
  })

const crash = ({ ended }: Worker): Effect.Effect<never, Crashed> =>
  Effect.flatMap(Deferred.await(ended), (how) => new Crashed({ how: typeof how === "number" ? `exit ${how}` : how }))

/** Ends a worker, if it has not ended already. False if it cut somebody off, or had to be killed. */
const stop = (worker: Worker, timeout: Duration.Duration): Effect.Effect<boolean> =>
  Effect.gen(function* () {
    if (yield* Deferred.isDone(worker.ended)) return true
    // One that has not got so far as to listen may die of the signal.
    const started = yield* Deferred.isDone(worker.listening)
    kill(worker, "SIGTERM")
    const late = Effect.interruptible(Effect.delay(Effect.sync(() => kill(worker, "SIGKILL")), timeout))
    const code = yield* Effect.raceFirst(
      Deferred.await(worker.ended),
      Effect.zipRight(late, Deferred.await(worker.ended))
    )
    return code === 0 || !started
  })

/** `ChildProcess.kill` of Deno 2.9 makes any exit look like a death by that signal. */
const kill = ({ process: { pid } }: Worker, signal: NodeJS.Signals): void => {
  try {
    process.kill(pid!, signal)
  } catch {
    // It has ended meanwhile.
  }
}
