/**
 * The figures of a run: medians over the rounds, ratios to the bare runtime, how far the rounds were apart; and all that as text.
 */
import process from "node:process"
import { type Case, caseNamed, type Contender, loads, type Runtime, type Sample } from "./cases.ts"

export interface Measurement extends Pick<Contender, "runtime" | "kind" | "title"> {
  readonly case: string
  readonly samples: ReadonlyArray<Sample>
}

export interface Report {
  readonly date: string
  readonly machine: string
  readonly versions: Readonly<Partial<Record<Runtime, string>>>
  /** Server and load had a CPU each to themselves. */
  readonly pinned: boolean
  readonly rounds: number
  readonly seconds: number
  readonly measurements: ReadonlyArray<Measurement>
}

/** Rounds that are further apart than this, as a part of their median, are called noisy; and other work on this part of the CPUs. */
const noisy = { spread: 0.2, others: 0.05 }

const colours = process.stdout.isTTY && !process.env["NO_COLOR"]
const bold = (text: string): string => colours ? `\x1b[1m${text}\x1b[0m` : text

const sorted = (values: ReadonlyArray<number>) => [...values].sort((a, b) => a - b)

const median = (values: ReadonlyArray<number>): number => {
  const ordered = sorted(values)
  const middle = ordered.length >> 1
  return ordered.length % 2 === 1 ? ordered[middle]! : (ordered[middle - 1]! + ordered[middle]!) / 2
}

const of = (field: keyof Sample, { samples }: Measurement) => samples.map((sample) => sample[field] ?? NaN)

/** What each round cost; where the system does not tell it, the time that a message takes at the rate seen. */
const cost = (measurement: Measurement): ReadonlyArray<number> =>
  measurement.samples.map(({ cost, rate }) => cost ?? (rate === null ? NaN : 1e6 / rate))

/** What the best round cost. */
export const bestCost = (measurement: Measurement): number => Math.min(...cost(measurement))

const ratio = (measurement: Measurement, raw: Measurement): number => median(cost(measurement)) / median(cost(raw))

/** The same of the best rounds: noise only ever adds, so on a busy machine this is nearer the truth. */
export const bestRatio = (measurement: Measurement, raw: Measurement): number => bestCost(measurement) / bestCost(raw)

/** How far the best ratio can be trusted: by as much as the second best rounds would have changed it. */
export const noiseOf = (measurement: Measurement, raw: Measurement): number => {
  const gap = (each: Measurement): number => {
    const [first, second = first] = sorted(cost(each))
    return second! / first! - 1
  }
  return bestRatio(measurement, raw) * (gap(measurement) + gap(raw))
}

const spread = (measurement: Measurement): number => {
  const ordered = sorted(cost(measurement))
  return (ordered.at(-1)! - ordered[0]!) / median(ordered)
}

export const rawOf = ({ case: name, runtime }: Measurement, { measurements }: Report) =>
  measurements.find((other) => other.case === name && other.runtime === runtime && other.kind === "raw")!

export const render = (report: Report): string => {
  const measured = [...new Set(report.measurements.map((measurement) => measurement.case))].map(caseNamed)
  return [
    introduction(report),
    ...measured.map((each) => details(each, report)),
    summary(measured, report),
    ...remarks(report)
  ].join("\n\n")
}

const introduction = ({ machine, pinned, rounds, seconds, versions }: Report): string =>
  `Servers on ${Object.entries(versions).map(([runtime, version]) => `${runtime} ${version}`).join(", ")}\n` +
  `${machine}; load from another process${pinned ? ", each on a CPU of its own" : ""}; ` +
  `medians of ${rounds} rounds of ${seconds} s, taken in turn`

const details = (each: Case, report: Report): string => {
  const rows = report.measurements.filter((measurement) => measurement.case === each.name).map((measurement) => [
    measurement.runtime,
    measurement.title,
    whole(median(of("rate", measurement))),
    significant(median(of("cost", measurement))),
    measurement.kind === "raw" ? "" : ratio(measurement, rawOf(measurement, report)).toFixed(2),
    measurement.kind === "raw" ? "" : bestRatio(measurement, rawOf(measurement, report)).toFixed(2),
    fixed(median(of("p50", measurement)), 3),
    fixed(median(of("p99", measurement)), 3),
    percent(spread(measurement)),
    losses(measurement)
  ])
  const heads = ["", "", "messages/s", loads[each.load].cost, "to raw", "best", "p50 ms", "p99 ms", "spread", "lost"]
  return [bold(each.title), ...table([heads, ...rows], 2)].join("\n")
}

const whole = (value: number): string => Number.isNaN(value) ? "-" : Math.round(value).toLocaleString("en")

const significant = (value: number): string => value >= 1000 ? whole(value) : fixed(value, 2)

const fixed = (value: number, digits: number): string => Number.isNaN(value) ? "-" : value.toFixed(digits)

const losses = ({ samples }: Measurement): string =>
  samples.some(({ lost }) => lost !== undefined) ? percent(median(samples.map(({ lost = NaN }) => lost))) : ""

/** What this SDK costs in its best round as a multiple of the bare runtime's best, beside what is aimed at. */
const summary = (measured: ReadonlyArray<Case>, report: Report): string => {
  const runtimes = [...new Set(report.measurements.map(({ runtime }) => runtime))]
  const rows = measured.flatMap(({ aim, name, title }) => {
    const own = report.measurements.filter((other) => other.case === name && other.kind === "netkit")
    const titles = [...new Set(own.map(({ title }) => title))]
    return titles.map((each) => [
      titles.length > 1 ? `${title}: ${each}` : title,
      ...runtimes.map((runtime) => {
        const measurement = own.find((other) => other.runtime === runtime && other.title === each)
        if (measurement === undefined) return ""
        const value = bestRatio(measurement, rawOf(measurement, report))
        return `${value <= aim ? " " : "!"} ${value.toFixed(2)}`
      }),
      String(aim)
    ])
  })
  return [
    bold("effect-netkit: its cost as a multiple of the bare runtime's, best round to best round (! is above the aim)"),
    ...table([["", ...runtimes, "aim"], ...rows], 1)
  ].join("\n")
}

const remarks = ({ measurements }: Report): ReadonlyArray<string> => {
  const samples = measurements.flatMap(({ samples }) => samples)
  const unsteady = measurements.filter((measurement) => spread(measurement) > noisy.spread).length
  const others = median(samples.map(({ others }) => others ?? 0))
  const texts = [
    unsteady > 0 &&
    `NOISY: in ${unsteady} of ${measurements.length} measurements the rounds lay more than ${
      percent(noisy.spread)
    } apart.`,
    others > noisy.others && `NOISY: other processes had ${percent(others)} of the CPUs meanwhile.`,
    samples.some(({ cost }) => cost === null) &&
    "CPU time is read on Linux alone; here the ratios are those of the time a message takes."
  ].filter((text) => text !== false)
  return texts.length === 0 ? [] : [texts.join("\n")]
}

const percent = (part: number): string => `${Math.round(100 * part)} %`

/** Columns side by side; from `numbers` on they are aligned to the right. */
const table = (rows: ReadonlyArray<ReadonlyArray<string>>, numbers: number): ReadonlyArray<string> => {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)))
  return rows.map((row) => {
    const cells = row.map((text, column) =>
      column < numbers ? text.padEnd(widths[column]!) : text.padStart(widths[column]!)
    )
    return `  ${cells.join("   ").trimEnd()}`
  })
}
