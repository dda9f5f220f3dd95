/**
 * The runs of the conformance suite in the runtime that this is loaded in: its own adapter over TCP and over Unix
 * sockets, and the adapter in memory; with the gauges that a process has of itself. The wrapper for vitest and `npm run
 * conformance` share it.
 */
import { mkdtempSync, readdirSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import { MemoryNetwork } from "../../adapters/memory/index.ts"
import { RuntimeNetwork } from "../../adapters/runtime/index.ts"
import type { Network } from "../../src/Network.ts"
import { properties, type Property, type RunOptions } from "../conformance/index.ts"

/** By its globals: Deno and Bun also report a version of Node. */
export const runtime: "node" | "deno" | "bun" = "Bun" in globalThis ? "bun" : "Deno" in globalThis ? "deno" : "node"

export interface Run {
  readonly name: string
  readonly layer: Layer.Layer<Network>
  readonly properties: ReadonlyArray<Property>
  readonly options: RunOptions
}

export const openDescriptors = (): number =>
  readdirSync(process.platform === "linux" ? "/proc/self/fd" : "/dev/fd").length

const gauges: RunOptions = {
  ...(process.platform === "win32" ? {} : { descriptors: Effect.sync(openDescriptors) }),
  memory: Effect.sync(() => process.memoryUsage().rss)
}

/** A new path each time, in a folder that goes with this process. */
const unixPath = (): { readonly path: string } => ({ path: join(unixFolder ??= makeFolder(), `${paths++}.sock`) })
let unixFolder: string | undefined
let paths = 0

const makeFolder = (): string => {
  const folder = mkdtempSync(join(tmpdir(), "netkit-"))
  process.on("exit", () => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** Those that are about IP addresses, or as true of any kind of address. */
const ofIp = new Set(["server hosts", "options", "names", "churn", "datagrams", "datagram peers", "datagram servers"])

export const runs: ReadonlyArray<Run> = [
  { name: runtime, layer: RuntimeNetwork.layer, properties, options: gauges },
  {
    name: `${runtime}, Unix sockets`,
    layer: RuntimeNetwork.layer,
    properties: properties.filter(({ group }) => !ofIp.has(group)),
    options: { ...gauges, listen: Effect.sync(unixPath), lacks: ["reset"] }
  },
  { name: "in memory", layer: MemoryNetwork.layer, properties, options: gauges }
]
