/**
 * A check: what it needs to know, and what comes of it. Each check is a program of its own in a file beside this one; what it opens
 * lives in its scope and is closed with it.
 */
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Network } from "effect-netkit"

/** The addresses of the two servers to talk to, as `host:port`. */
export interface Servers {
  readonly echo: string
  readonly requests: string
}

/** The figures stand side by side in the report. */
export interface Outcome {
  readonly ok: boolean
  readonly figures: ReadonlyArray<string>
}

export type Check = (servers: Servers) => Effect.Effect<Outcome, unknown, Network.Network | Scope.Scope>

export const passed = (...figures: ReadonlyArray<string>): Outcome => ({ ok: true, figures })
export const failed = (...figures: ReadonlyArray<string>): Outcome => ({ ok: false, figures })

export const mebibyte = 1048576
export const inMebibytes = (bytes: number): string => (bytes / mebibyte).toFixed(bytes < 10 * mebibyte ? 1 : 0)
