/**
 * What the loads have in common: CPU time of a server, latencies, and one measurement from both. CPU time is read from /proc, so on
 * Linux alone.
 */
import * as fs from "node:fs"
import * as os from "node:os"
import process from "node:process"
import type { Announcement } from "./servers/announce.ts"
import type { Sample } from "./cases.ts"

/** What a load is told, as JSON in its only argument. */
export interface Load extends Announcement {
  /** The name of the case. */
  readonly case: string
  readonly warmUpSeconds: number
  readonly seconds: number
}

export const fail = (error: unknown): never => {
  console.error(String(error))
  process.exit(1)
}

/** Microseconds of CPU time so far of a process with all its threads. */
export const cpuTimeOf = (pid: number): number | null => {
  if (process.platform !== "linux") return null
  const nanos = fs.readdirSync(`/proc/${pid}/task`).map((thread) =>
    Number(fs.readFileSync(`/proc/${pid}/task/${thread}/schedstat`, "utf8").split(" ")[0])
  )
  return nanos.reduce((sum, each) => sum + each, 0) / 1000
}

/** Bytes of a process that are in memory. */
export const residentOf = (pid: number): number | null => {
  if (process.platform !== "linux") return null
  return 1024 * Number(/VmRSS:\s+(\d+)/.exec(fs.readFileSync(`/proc/${pid}/status`, "utf8"))![1])
}

/** Microseconds of CPU time so far of the whole machine. */
const cpuTimeOfAll = (): number => {
  // In hundredths of a second: user nice system idle iowait irq softirq steal.
  const [user, nice, system, , , irq, softirq, steal] = fs.readFileSync("/proc/stat", "utf8").split(/\s+/).slice(1)
    .map(Number)
  return (user! + nice! + system! + irq! + softirq! + steal!) * 10_000
}

const cpuTimes = (pid: number) => {
  const server = cpuTimeOf(pid)
  if (server === null) return null
  const own = process.cpuUsage()
  return { server, load: own.user + own.system, machine: cpuTimeOfAll() }
}

/** Latencies in milliseconds, in an array that grows. */
export class Latencies {
  count = 0
  #values = new Float64Array(1 << 20)

  add(latency: number): void {
    if (this.count === this.#values.length) {
      const longer = new Float64Array(2 * this.count)
      longer.set(this.#values)
      this.#values = longer
    }
    this.#values[this.count++] = latency
  }

  percentiles(): Pick<Sample, "p50" | "p99"> {
    if (this.count === 0) return { p50: null, p99: null }
    const sorted = this.#values.subarray(0, this.count).sort()
    const at = (fraction: number): number => sorted[Math.floor(fraction * (sorted.length - 1))]!
    return { p50: at(0.5), p99: at(0.99) }
  }
}

/** Rate, and CPU time of the server a message, of `run`, which gives the number of messages. */
export const measured = async (
  pid: number,
  run: () => Promise<number>
): Promise<Pick<Sample, "rate" | "cost" | "others">> => {
  const before = cpuTimes(pid)
  const startedAt = performance.now()
  const messages = await run()
  const micros = (performance.now() - startedAt) * 1000
  const after = cpuTimes(pid)
  const rate = messages / micros * 1e6
  if (before === null || after === null) return { rate, cost: null, others: null }
  const server = after.server - before.server
  const others = after.machine - before.machine - server - (after.load - before.load)
  return { rate, cost: server / messages, others: Math.max(0, others / micros / os.cpus().length) }
}
