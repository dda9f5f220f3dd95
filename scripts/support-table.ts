/**
 * The table of what each runtime supports, from the `capabilities` that the adapters report inside the real runtimes.
 * `npm run support-table` writes it into the README, between `<!-- support-table -->` and `<!-- /support-table -->`;
 * test/supportTable.test.ts sees that it is up to date.
 */
import { execFileSync } from "node:child_process"
import { readFileSync, writeFileSync } from "node:fs"
import { capabilityNames } from "../src/internal/capabilityNames.ts"
import type { Capabilities, Capability } from "../src/Transport.ts"
import { type Runtime, runtimes } from "./runtimes.ts"

/** Where it depends on the runtime's version or flags, whatever those are in this run. */
const conditions: Partial<Record<string, Partial<Record<Capability, string>>>> = {
  node: { reusePort: "from 23.1", datagramReusePort: "from 23.1", unixAbstract: "from 22, on Linux" },
  deno: { reusePort: "with `--unstable-net`", unixAbstract: "on Linux" },
  bun: { unixAbstract: "on Linux" }
}

interface Column {
  readonly runtime: string
  readonly capabilities: Capabilities
}

const columnsUnder = (runtime: Runtime): ReadonlyArray<Column> => {
  const [command, ...args] = runtimes[runtime]
  return JSON.parse(execFileSync(command, [...args, "scripts/capabilities.ts"], { encoding: "utf8" }))
}

const cell = ({ runtime, capabilities }: Column, capability: Capability): string => {
  const value = capabilities[capability]
  return conditions[runtime]?.[capability] ?? (value === "onRequest" ? "with `resettable`" : value ? "yes" : "no")
}

const row = (cells: ReadonlyArray<string>): string => `| ${cells.join(" | ")} |`

/** The table in Markdown, made by starting each runtime once. */
export const supportTable = (): string => {
  const [node, memory] = columnsUnder("node")
  const columns = [node!, columnsUnder("deno")[0]!, columnsUnder("bun")[0]!, memory!]
  return [
    row(["", "Node", "Deno", "Bun", "in memory"]),
    row(["---", ...columns.map(() => "---")]),
    ...(Object.keys(capabilityNames) as ReadonlyArray<Capability>)
      .map((capability) => row([capabilityNames[capability], ...columns.map((column) => cell(column, capability))]))
  ].join("\n")
}

/** The page with the table between its markers replaced. */
export const withTable = (page: string, table: string): string => {
  const markers = /(<!-- support-table -->\n)[^]*(<!-- \/support-table -->)/
  if (!markers.test(page)) throw new Error("the page has no support-table markers")
  return page.replace(markers, (_, start, end) => `${start}${table}\n${end}`)
}

if (process.argv[1]?.endsWith("support-table.ts")) {
  const table = supportTable()
  writeFileSync("README.md", withTable(readFileSync("README.md", "utf8"), table))
  console.log(table)
}
