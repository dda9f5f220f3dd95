/**
 * The figures of `--scaling` as pictures: what a message costs by the number of connections and by its size, and that as a multiple of
 * the bare runtime. Colours are read on a light ground and on a dark one; a dashed line is the bare runtime.
 */
import * as fs from "node:fs"
import * as path from "node:path"
import { type Case, type Runtime, scaling } from "./cases.ts"
import { root } from "./processes.ts"
import { bestCost, type Measurement, rawOf, type Report } from "./report.ts"

type Point = readonly [x: number, y: number]

interface Line {
  readonly runtime: Runtime
  readonly dashed: boolean
  readonly points: ReadonlyArray<Point>
}

interface Panel {
  readonly title: string
  readonly xLabel: string
  readonly xTicks: ReadonlyArray<number>
  readonly yTicks: ReadonlyArray<number>
  readonly format: (value: number) => string
  readonly lines: ReadonlyArray<Line>
}

const colours: Readonly<Record<Runtime, string>> = { node: "#2e9e4f", deno: "#3b82f6", bun: "#d9730d" }
const ink = "#7d8590"
const size = { width: 380, height: 260, left: 56, top: 30, panel: 440 }

const logScale = (ticks: ReadonlyArray<number>, from: number, to: number) => {
  const [low, high] = [Math.log(ticks[0]!), Math.log(ticks.at(-1)!)]
  return (value: number) => Math.round(10 * (from + (Math.log(value) - low) / (high - low) * (to - from))) / 10
}

const text = (x: number, y: number, content: string, anchor: string, more = ""): string =>
  `<text x="${x}" y="${y}" text-anchor="${anchor}" ${more}>${content}</text>`

const drawPanel = ({ format, lines, title, xLabel, xTicks, yTicks }: Panel, index: number): string => {
  const { height, left, top, width } = size
  const x = logScale(xTicks, left, width)
  const y = logScale(yTicks, height, top)
  const grid = [
    ...xTicks.map((tick) => text(x(tick), height + 16, label(tick), "middle")),
    ...yTicks.map((tick) =>
      `<line x1="${left}" x2="${width}" y1="${y(tick)}" y2="${y(tick)}" stroke="${ink}" stroke-opacity="${
        tick === 1 ? 0.9 : 0.3
      }"/>` + text(left - 6, y(tick) + 4, format(tick), "end")
    )
  ]
  const curves = lines.map(({ dashed, points, runtime }) => {
    const path = points.map(([px, py]) => `${x(px)},${y(py)}`).join(" ")
    const dots = dashed ? "" : points.map(([px, py]) => `<circle cx="${x(px)}" cy="${y(py)}" r="3"/>`).join("")
    const style = `stroke="${colours[runtime]}" stroke-width="${dashed ? 1.2 : 2}"${
      dashed ? ` stroke-dasharray="4 3"` : ""
    }`
    return `<g fill="${colours[runtime]}"><polyline points="${path}" fill="none" ${style}/>${dots}</g>`
  })
  return [
    `<g transform="translate(${index * size.panel} 0)">`,
    text(left, top - 14, title, "start", `font-weight="bold"`),
    ...grid,
    ...curves,
    text((left + width) / 2, height + 34, xLabel, "middle"),
    "</g>"
  ].join("\n")
}

const label = (value: number): string =>
  value >= 1 << 20 && value % (1 << 20) === 0
    ? `${value >> 20} Mi`
    : value >= 1024 && value % 1024 === 0
    ? `${value >> 10} Ki`
    : value.toLocaleString("en")

const legend = (runtimes: ReadonlyArray<Runtime>, y: number): string =>
  runtimes.map((runtime, index) => {
    const x = size.left + index * 160
    const line = (from: number, more: string) =>
      `<line x1="${x + from}" x2="${x + from + 22}" y1="${y - 4}" y2="${y - 4}" stroke="${colours[runtime]}" ${more}/>`
    return line(0, `stroke-width="2"`) + text(x + 26, y, runtime, "start") +
      line(66, `stroke-width="1.2" stroke-dasharray="4 3"`) + text(x + 92, y, "bare", "start")
  }).join("\n")

/** Powers of `base` around all values. */
const around = (values: ReadonlyArray<number>, base: number): ReadonlyArray<number> => {
  const exponent = (value: number) => Math.log(value) / Math.log(base)
  const first = Math.floor(exponent(Math.min(...values)))
  const count = Math.max(1, Math.ceil(exponent(Math.max(...values)))) - first + 1
  return Array.from({ length: count }, (_, index) => Math.pow(base, first + index))
}

const costs = (measurements: ReadonlyArray<Measurement>, xOf: ReadonlyMap<string, number>): ReadonlyArray<Line> =>
  groups(measurements).map((group): Line => ({
    runtime: group[0]!.runtime,
    dashed: group[0]!.kind === "raw",
    points: group.map((each) => [xOf.get(each.case)!, bestCost(each)])
  }))

const groups = (measurements: ReadonlyArray<Measurement>): ReadonlyArray<ReadonlyArray<Measurement>> => {
  const keys = [...new Set(measurements.map(({ kind, runtime }) => `${runtime} ${kind}`))]
  return keys.map((key) => measurements.filter(({ kind, runtime }) => `${runtime} ${kind}` === key))
}

const draw = (report: Report, cases: ReadonlyArray<Case>, xs: ReadonlyArray<number>, xLabel: string): string => {
  const xOf = new Map(cases.map(({ name }, index) => [name, xs[index]!]))
  const measurements = report.measurements.filter((each) => xOf.has(each.case))
  const runtimes = [...new Set(measurements.map(({ runtime }) => runtime))]
  const absolute = costs(measurements, xOf)
  const relative = groups(measurements.filter(({ kind }) => kind === "netkit")).map((group): Line => ({
    runtime: group[0]!.runtime,
    dashed: false,
    points: group.map((each) => [xOf.get(each.case)!, bestCost(each) / bestCost(rawOf(each, report))])
  }))
  const values = (lines: ReadonlyArray<Line>) => lines.flatMap(({ points }) => points.map(([, y]) => y))
  const panels: ReadonlyArray<Panel> = [
    {
      title: "CPU time of the server a message, µs",
      xLabel,
      xTicks: xs,
      yTicks: around(values(absolute), 10),
      format: (value) => value.toLocaleString("en"),
      lines: absolute
    },
    {
      title: "the same, as a multiple of the bare runtime's",
      xLabel,
      xTicks: xs,
      yTicks: around([...values(relative), 1], Math.SQRT2),
      format: (value) => value.toFixed(value < 1.9 ? 2 : 1),
      lines: relative
    }
  ]
  const width = 2 * size.panel
  const height = size.height + 70
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" ` +
    `font-family="system-ui, sans-serif" font-size="12" fill="${ink}">`,
    `<title>effect-netkit and the bare runtimes: CPU time a message by ${xLabel}</title>`,
    ...panels.map(drawPanel),
    legend(runtimes, size.height + 58),
    "</svg>",
    ""
  ].join("\n")
}

/** Writes the pictures, and tells where. */
export const drawScaling = (report: Report): ReadonlyArray<string> => {
  const { connections, sizes } = scaling
  const pictures = {
    "connections.svg": draw(report, connections, connections.map((each) => each.connections), "connections, 64 bytes"),
    "sizes.svg": draw(report, sizes, sizes.map(({ request }) => request.length), "bytes a message, 4 connections")
  }
  return Object.entries(pictures).map(([name, picture]) => {
    const file = path.join("docs", "plots", name)
    fs.mkdirSync(path.join(root, "docs", "plots"), { recursive: true })
    fs.writeFileSync(path.join(root, file), picture)
    return file
  })
}
