/**
 * How every example runs: flags first, the runtime's network and platform provided, and one way to end.
 * Exit 0 at the end, at the end of input, and on SIGINT or SIGTERM, which interrupt once and are ignored after that;
 * exit 1 with one line on standard error for a failure; exit 2 for wrong flags.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import type { Network } from "effect-netkit"
import { RuntimeNetwork } from "effect-netkit/runtime"
import type { Scope } from "effect/Scope"
import * as Flags from "./Flags.ts"
import * as Keyboard from "./Keyboard.ts"
import * as Platform from "./Platform.ts"

/** Runs the program whose file is at `url`, with the flags it declares. */
export const run = <F extends Flags.Flags>(
  url: string,
  flags: F,
  program: (values: Flags.Values<F>) => Effect.Effect<unknown, unknown, Network.Network | Keyboard.Keyboard | Scope>
): void => {
  const main = Flags.parse(url, flags).pipe(
    Effect.flatMap(program),
    Effect.scoped,
    Effect.provide(Layer.mergeAll(RuntimeNetwork.layer, Keyboard.layer, errorLines))
  )
  // `runMain` takes its own listeners away at the first signal; the second would then kill the process.
  for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => {})
  // Who reads the output may leave first, as `head` does.
  process.stdout.on("error", () => process.exit(0))
  Platform.runMain(main, {
    disableErrorReporting: true,
    disablePrettyLogger: true,
    teardown: (exit) => leave(finish(exit))
  })
}

/** Exits once the output is written: Node keeps what a full pipe does not take. Who does not read is not waited for. */
const leave = (code: number): void => {
  process.stdout.write("", () => process.exit(code))
  setTimeout(() => process.exit(code), 500)
}

const finish = (exit: Exit.Exit<unknown, unknown>): number => {
  if (Exit.isSuccess(exit) || Cause.isInterruptedOnly(exit.cause)) return 0
  const error = Cause.squash(exit.cause)
  if (error instanceof Flags.Stopped) return error.exitCode
  if (error instanceof Keyboard.EndOfInput) return 0
  console.error(line(error))
  return 1
}

const line = (error: unknown): string => (error instanceof Error && error.message || String(error)).split("\n", 1)[0]!

const errorLines = Logger.replace(
  Logger.defaultLogger,
  Logger.make(({ cause, message }) => {
    const text = Array.isArray(message) ? message.join(" ") : String(message)
    console.error(Cause.isEmpty(cause) ? text : `${text}: ${line(Cause.squash(cause))}`)
  })
)
