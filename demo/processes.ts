/**
 * Programs of the demo as processes of each runtime, each in a scope: when that closes the process is gone, also after Ctrl-C.
 * Node and the binaries of `node_modules` are all that is needed.
 */
import process from "node:process"
import { fileURLToPath } from "node:url"
import * as Command from "@effect/platform/Command"
import type { Process } from "@effect/platform/CommandExecutor"
import * as Console from "effect/Console"
import * as Data from "effect/Data"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"

export const runtimes = ["node", "deno", "bun"] as const
export type Runtime = typeof runtimes[number]

const root = fileURLToPath(new URL("..", import.meta.url))
const binary = (name: string) => `${root}node_modules/.bin/${name}`

const commands: Readonly<Record<Runtime, readonly [string, ...ReadonlyArray<string>]>> = {
  node: [process.execPath, "--import", "tsx"],
  deno: [binary("deno"), "run", "-A"],
  bun: [binary("bun")]
}

export class ProcessFailed
  extends Data.TaggedError("ProcessFailed")<{ readonly program: string; readonly message: string }> {}

/** Starts `demo/<program>.ts`; what it prints on standard error goes to this process's own. */
const start = (runtime: Runtime, program: string, ...args: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const command = Command.make(...commands[runtime], `${root}demo/${program}.ts`, ...args)
    const child = yield* Command.start(command.pipe(Command.workingDirectory(root), Command.stderr("inherit")))
    yield* Effect.addFinalizer(() => stop(child))
    return child
  })

const stop = (child: Process) =>
  Effect.whenEffect(
    child.kill("SIGTERM").pipe(
      Effect.interruptible,
      Effect.timeout("2 seconds"),
      Effect.catchAll(() => child.kill("SIGKILL")),
      Effect.ignore
    ),
    Effect.orElseSucceed(child.isRunning, () => false)
  )

const linesOf = (child: Process) => child.stdout.pipe(Stream.decodeText(), Stream.splitLines)

/** Starts a server and waits until it says where it listens. */
export const startServer = (runtime: Runtime, program: string) =>
  Effect.gen(function* () {
    const child = yield* start(runtime, program)
    const address = yield* Deferred.make<string>()
    yield* linesOf(child).pipe(
      Stream.runForEach((line) => {
        const [, found] = /^listening on (.*)$/.exec(line) ?? []
        return found === undefined ? Console.error(`${runtime} ${program}: ${line}`) : Deferred.succeed(address, found)
      }),
      Effect.forkScoped
    )
    return yield* Effect.raceFirst(
      Deferred.await(address),
      Effect.zipRight(
        Effect.exit(child.exitCode),
        new ProcessFailed({ program, message: `${program} on ${runtime} ended at once` })
      )
    )
  })

/** Runs a program to its end, which must come in time, and gives the lines it prints. */
export const lines = (runtime: Runtime, program: string, ...args: ReadonlyArray<string>) =>
  start(runtime, program, ...args).pipe(
    Effect.map((child) => Stream.interruptAfter(linesOf(child), "40 seconds")),
    Stream.unwrapScoped
  )
