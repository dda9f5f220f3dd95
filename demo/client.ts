/**
 * The client of both servers: `client.ts ECHO-ADDRESS REQUEST-ADDRESS`.
 * Prints its runtime, then makes the checks one after the other and prints what came of each, a line of JSON each.
 */
import process from "node:process"
import * as Cause from "effect/Cause"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import { Network } from "effect-netkit"
import type { Check, Outcome } from "./checks/check.ts"
import { busyPort, refusedConnect } from "./checks/errors.ts"
import { exchange } from "./checks/exchange.ts"
import { halfClose } from "./checks/halfClose.ts"
import { slowReader } from "./checks/slowReader.ts"
import { run } from "./program.ts"

/** One line of the client's output. */
export type Line = { readonly runtime: string; readonly version: string } | (Outcome & { readonly check: string })

const [echo = "", requests = ""] = process.argv.slice(2)

const print = (line: Line) => Console.log(JSON.stringify(line))

const introduce = Effect.flatMap(
  Network.Network,
  ({ runtime }) => print({ runtime, version: process.versions[runtime] ?? "" })
)

const report = (name: string, check: Check) =>
  check({ echo, requests }).pipe(
    Effect.scoped,
    Effect.timeout("15 seconds"),
    Effect.catchAllCause((cause) => Effect.succeed({ ok: false, figures: [Cause.pretty(cause)] })),
    Effect.flatMap((outcome) => print({ check: name, ...outcome }))
  )

run(Effect.all([
  introduce,
  report("exchange", exchange),
  report("half-close", halfClose),
  report("slow reader", slowReader),
  report("refused connect", refusedConnect),
  report("busy port", busyPort)
]))
