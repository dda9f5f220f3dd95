/**
 * The conformance suite on every runtime: starts itself under Node, Deno and Bun, prints the matrix property x adapter
 * x runtime, and writes it into docs/conformance.md. Usage: `tsx scripts/conformance.ts [node] [deno] [bun]`; only a
 * run of all three writes the page. Exits with 1 if a property does not hold somewhere, or if a run did not come to its
 * end.
 */
import { spawn } from "node:child_process"
import { once } from "node:events"
import { writeFileSync } from "node:fs"
import { createInterface } from "node:readline"
import { type Outcome, properties } from "../test/conformance/index.ts"
import { type Runtime, runtimes } from "./runtimes.ts"

interface Column {
  readonly title: string
  readonly outcomes: Map<string, Outcome>
}

const names = Object.keys(runtimes) as ReadonlyArray<Runtime>
const titles: Record<Runtime, string> = { node: "Node", deno: "Deno", bun: "Bun" }
const keyOf = ({ group, name }: { readonly group: string; readonly name: string }): string => `${group}: ${name}`

const progress = (text: string): void => {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`)
}

/** All runs of the suite in one runtime, a column each. */
const columnsOf = async (runtime: Runtime): Promise<ReadonlyArray<Column>> => {
  const [command, ...args] = runtimes[runtime]
  const child = spawn(command, [...args, "scripts/conformance-run.ts"], { stdio: ["ignore", "pipe", "inherit"] })
  const ended = once(child, "close")
  const columns = new Map<string, Column>()
  let title = titles[runtime]
  let expected = Infinity
  let done = 0
  for await (const line of createInterface({ input: child.stdout })) {
    const { count, run, version, ...outcome } = JSON.parse(line)
    if (count !== undefined) {
      expected = count
      title += ` ${version.split(".")[0]}`
      continue
    }
    const column = columns.get(run) ?? { title: run.replace(/^[a-z]+(?=,|$)/, title), outcomes: new Map() }
    columns.set(run, column)
    column.outcomes.set(keyOf(outcome), outcome)
    progress(`${title}: ${++done} of ${expected}, ${run}: ${outcome.name}`)
  }
  const [code] = await ended
  progress("")
  if (code !== 0 || done !== expected) {
    throw new Error(`${title}: the run ended with code ${code} after ${done} of ${expected} properties`)
  }
  return [...columns.values()].map((column) =>
    column.title === "in memory" ? { ...column, title: `in memory, ${titles[runtime]}` } : column
  )
}

const marks = { pass: "yes", fail: "FAILS", unsupported: "-" } as const

const cell = (column: Column, key: string): string => {
  const outcome = column.outcomes.get(key)
  return outcome === undefined ? "" : marks[outcome.status]
}

const groups = [...new Set(properties.map(({ group }) => group))]

/** For a terminal: a property a line, its cells in narrow columns under numbered titles. */
const forTerminal = (columns: ReadonlyArray<Column>): string =>
  [
    ...columns.map(({ title }, i) => `${String(i + 1).padStart(4)}  ${title}`),
    ...groups.flatMap((group) => [
      `\n${group.toUpperCase().padEnd(74)}${columns.map((_, i) => String(i + 1).padEnd(6)).join("")}`.trimEnd(),
      ...properties.filter((property) => property.group === group).map((property) =>
        `  ${property.name.padEnd(72)}${columns.map((column) => cell(column, keyOf(property)).padEnd(6)).join("")}`
          .trimEnd()
      )
    ])
  ].join("\n")

const row = (cells: ReadonlyArray<string>): string => `| ${cells.join(" | ")} |`

const page = (columns: ReadonlyArray<Column>): string =>
  [
    "# Conformance",
    "",
    "Written by `npm run conformance`: what every transport must do, on every adapter and runtime. The properties are",
    "those of `effect-netkit/testing`; each names where its invariant comes from. `yes`: it holds. `-`: the transport",
    "lacks what it needs, and says so (see the support table in the README). Empty: it is about TCP, and not run there.",
    ...groups.flatMap((group) => [
      "",
      `## ${group[0]!.toUpperCase()}${group.slice(1)}`,
      "",
      row(["Property", "Source", ...columns.map(({ title }) => title)]),
      row(["---", "---", ...columns.map(() => "---")]),
      ...properties.filter((property) => property.group === group)
        .map((property) =>
          row([property.name, property.source, ...columns.map((column) => cell(column, keyOf(property)))])
        )
    ]),
    ""
  ].join("\n")

/** What was not `yes`: failures in full, missing capabilities once each. */
const remarks = (columns: ReadonlyArray<Column>): ReadonlyArray<string> =>
  columns.flatMap(({ outcomes, title }) => {
    const all = [...outcomes.values()]
    const lacking = new Set(all.flatMap(({ detail, status }) => status === "unsupported" ? [detail] : []))
    return [
      ...(lacking.size === 0 ? [] : [`${title} lacks: ${[...lacking].join("; ")}`]),
      ...all.filter(({ status }) => status === "fail").map((outcome) =>
        `${title} FAILS ${keyOf(outcome)}: ${outcome.detail}`
      )
    ]
  })

const main = async (asked: ReadonlyArray<string>): Promise<number> => {
  const chosen = names.filter((name) => asked.length === 0 || asked.includes(name))
  const columns: Array<Column> = []
  for (const name of chosen) columns.push(...await columnsOf(name))
  console.log(forTerminal(columns))
  console.log(["", ...remarks(columns)].join("\n"))
  if (chosen.length === names.length) writeFileSync("docs/conformance.md", page(columns))
  const all = columns.flatMap(({ outcomes }) => [...outcomes.values()])
  const count = (status: Outcome["status"]) => all.filter((outcome) => outcome.status === status).length
  console.log(`\n${count("pass")} hold, ${count("fail")} fail, ${count("unsupported")} are unsupported`)
  return count("fail") > 0 ? 1 : 0
}

process.exitCode = await main(process.argv.slice(2)).catch((error: Error) => {
  console.error(error.message)
  return 1
})
