/**
 * What this SDK has cost, as multiples of the bare runtime, in a run that was kept in `baseline.json`; and what has moved since, by more
 * than both runs' own noise. It tells, and decides nothing.
 */
import * as fs from "node:fs"
import * as path from "node:path"
import process from "node:process"
import { root } from "./processes.ts"
import { bestRatio, type Measurement, noiseOf, rawOf, type Report } from "./report.ts"

interface Figure {
  readonly ratio: number
  /** How far it can be trusted, `noiseOf`. */
  readonly noise: number
}

interface Baseline {
  readonly date: string
  readonly machine: string
  readonly versions: Report["versions"]
  /** By runtime, case and title. */
  readonly figures: Readonly<Record<string, Figure>>
}

const file = path.join(root, "bench", "baseline.json")

const rounded = (value: number): number => Math.round(value * 1000) / 1000

const nameOf = ({ case: name, runtime, title }: Measurement): string => `${runtime} ${name}: ${title}`

const figuresOf = (report: Report): Readonly<Record<string, Figure>> =>
  Object.fromEntries(
    report.measurements.filter(({ kind }) => kind === "netkit").map((own) => {
      const raw = rawOf(own, report)
      return [nameOf(own), { ratio: rounded(bestRatio(own, raw)), noise: rounded(noiseOf(own, raw)) }]
    })
  )

const read = (): Baseline | undefined =>
  fs.existsSync(file) ? JSON.parse(fs.readFileSync(file, "utf8")) as Baseline : undefined

/** Figures of runtimes and cases that this run left out stay. */
export const write = (report: Report): void => {
  const { date, machine, versions } = report
  const earlier = read()
  const baseline: Baseline = {
    date,
    machine,
    versions: { ...earlier?.versions, ...versions },
    figures: { ...earlier?.figures, ...figuresOf(report) }
  }
  fs.writeFileSync(file, `${JSON.stringify(baseline, undefined, 2)}\n`)
  console.log(`baseline in ${path.relative(process.cwd(), file)}`)
}

export const compare = (report: Report): string => {
  const baseline = read()
  if (baseline === undefined) return "There is no baseline: `npm run bench -- --baseline` makes one."
  const moved = Object.entries(figuresOf(report)).flatMap(([name, { noise, ratio }]) => {
    const then = baseline.figures[name]
    if (then === undefined) return [`  ${name}: ${ratio.toFixed(2)}, new`]
    const leeway = Math.max(0.05 * then.ratio, noise + then.noise)
    const by = ratio - then.ratio
    if (Math.abs(by) <= leeway) return []
    return [
      `  ${name}: ${then.ratio.toFixed(2)} -> ${ratio.toFixed(2)}, ${by > 0 ? "dearer" : "cheaper"}; noise ${
        leeway.toFixed(2)
      }`
    ]
  })
  const since = `since the baseline of ${baseline.date.slice(0, 10)} (${baseline.machine})`
  return moved.length === 0 ? `Nothing moved ${since}.` : [`Moved ${since}:`, ...moved].join("\n")
}
