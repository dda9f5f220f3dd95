/**
 * The client of both servers, on any number of runtimes: `client.ts ECHO-ADDRESS REQUEST-ADDRESS ...`.
 * Prints its runtime, then makes the checks one after the other and prints what came of each, a line of JSON each.
 */
import process from "node:process"
import * as Cause from "effect/Cause"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import { Network } from "effect-netkit"
import type { Check, Outcome, Servers } from "./checks/check.ts"
import { busyPort, refusedConnect } from "./checks/errors.ts"
import { exchange } from "./checks/exchange.ts"
import { halfClose } from "./checks/halfClose.ts"
import { slowReader } from "./checks/slowReader.ts"
import { run } from "./program.ts"

const checks = {
  "exchange": exchange,
  "half-close": halfClose,
  "slow reader": slowReader,
  "refused connect": refusedConnect,
  "busy port": busyPort
} satisfies Record<string, Check>

export type CheckName = keyof typeof checks

/** The first line of the output, and the others; `server` counts the pairs of addresses from 0. */
export interface Introduction {
  readonly runtime: string
  readonly version: string
}
export interface Result extends Outcome {
  readonly server: number
  readonly check: CheckName
}

const addresses = process.argv.slice(2)
const servers = addresses.flatMap((echo, index): ReadonlyArray<Servers> =>
  index % 2 === 0 ? [{ echo, requests: addresses[index + 1] ?? "" }] : []
)

const print = (line: Introduction | Result) => Console.log(JSON.stringify(line))

const introduce = Effect.flatMap(
  Network.Network,
  ({ runtime }) => print({ runtime, version: process.versions[runtime] ?? "" })
)

const report = (server: number, check: CheckName) =>
  checks[check](servers[server]!).pipe(
    Effect.scoped,
    Effect.timeout("15 seconds"),
    Effect.catchAllCause((cause) => Effect.succeed({ ok: false, figures: [Cause.pretty(cause)] })),
    Effect.flatMap((outcome) => print({ server, check, ...outcome }))
  )

run(Effect.zipRight(
  introduce,
  Effect.forEach(
    servers.keys(),
    (server) => Effect.forEach(Object.keys(checks), (check) => report(server, check as CheckName))
  )
))
