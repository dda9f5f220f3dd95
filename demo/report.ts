/**
 * What the demo found, as text for people: a title and a table for each check. Colours on a terminal only, and not under NO_COLOR.
 */
import process from "node:process"
import type { Outcome } from "./checks/check.ts"
import type { CheckName, Introduction, Result } from "./client.ts"
import type { Runtime } from "./processes.ts"

/** What the client of one runtime printed. */
export interface Client {
  readonly runtime: Runtime
  readonly lines: ReadonlyArray<Introduction | Result>
}

export interface Findings {
  /** The runtimes whose servers were called, in the order in which the clients count them. */
  readonly servers: ReadonlyArray<Runtime>
  readonly clients: ReadonlyArray<Client>
  readonly seconds: number
}

const colours = process.stdout.isTTY && !process.env["NO_COLOR"]
const codes = { bold: 1, dim: 2, red: 31, green: 32 }
const style = (name: keyof typeof codes, text: string): string => colours ? `\x1b[${codes[name]}m${text}\x1b[0m` : text
const names: Readonly<Record<Runtime, string>> = { node: "Node", deno: "Deno", bun: "Bun" }

const checks: ReadonlyArray<CheckName> = ["exchange", "half-close", "slow reader", "refused connect", "busy port"]

export const render = (findings: Findings): { readonly passed: boolean; readonly text: string } => {
  const total = findings.clients.length * findings.servers.length * checks.length
  const failures = failuresOf(findings)
  const passed = failures.length === 0
  const sections = [
    introduction(findings),
    section(
      "Exchange",
      "200 messages of 64 bytes are echoed, each sent when the last is back, and a request is answered.\n" +
        "Time of one round trip:",
      matrix(findings, "exchange")
    ),
    section(
      "Half-close",
      "The client asks for 16 MiB, says that it will send no more (FIN), and still gets every byte.\n" +
        "Received, SHA-256 compared:",
      matrix(findings, "half-close")
    ),
    section(
      "A reader that does not read",
      "The client asks for 128 MiB and reads nothing. The server's writes wait: no more is accepted than the\n" +
        "kernel holds, and the server's memory stays as it was. Then the client reads on, and all of it comes.",
      slowReaders(findings)
    ),
    section(
      "What goes wrong has a type",
      "Connecting where nobody listens, and listening where another process does, fail with the same tagged errors on\n" +
        "every runtime, whatever runtime the other process is on:",
      [...errors(findings), "", ...messages(findings)]
    ),
    ...(passed ? [] : [failures.join("\n")]),
    `${mark(passed)} ${total - failures.length} of ${total} checks passed in ${findings.seconds.toFixed(1)} s`
  ]
  return { passed, text: coloured(sections.join("\n\n")) }
}

const introduction = ({ clients }: Findings): string => {
  const versions = clients.map((client) => `${names[client.runtime]} ${versionOf(client) ?? "(did not run)"}`)
  return `${style("bold", "effect-netkit")} on ${versions.join(", ")}\n` +
    "Each runtime ran an echo server and a request server, and a client that called those of all: every one a process of\n" +
    "its own, every one the same TypeScript (demo/echo-server.ts, demo/request-server.ts, demo/client.ts), over 127.0.0.1."
}

/** The version that a client says it runs on, if that is the runtime it was meant to. */
const versionOf = ({ lines, runtime }: Client): string | undefined => {
  const found = lines.find((line) => "runtime" in line)
  return found?.runtime === runtime ? found.version : undefined
}

const section = (title: string, explanation: string, table: ReadonlyArray<string>): string =>
  [style("bold", title), explanation, "", ...table.map((line) => line === "" ? "" : `  ${line}`)].join("\n")

const outcome = (client: Client, server: number, check: CheckName): Outcome => {
  const found = client.lines.find((line) => "check" in line && line.server === server && line.check === check)
  return versionOf(client) !== undefined && found !== undefined && "check" in found
    ? found
    : { ok: false, figures: ["no result"] }
}

/** What failed, in full. */
const failuresOf = ({ clients, servers }: Findings): ReadonlyArray<string> =>
  clients.flatMap((client) =>
    servers.flatMap((server, index) =>
      checks.flatMap((check) => {
        const { figures, ok } = outcome(client, index, check)
        const where = `${names[client.runtime]} client, ${names[server]} server`
        return ok ? [] : [`${mark(false)} ${where}, ${check}: ${figures.join(", ")}`]
      })
    )
  )

const mark = (ok: boolean): string => ok ? "✓" : "✗"

/** The marks get their colours last, so that the tables can count characters. */
const coloured = (text: string): string => text.replaceAll("✓", style("green", "✓")).replaceAll("✗", style("red", "✗"))

/** A row for each client, a column for each server. */
const matrix = ({ clients, servers }: Findings, check: CheckName): ReadonlyArray<string> =>
  table([
    ["", ...servers.map((server) => `${names[server]} server`)],
    ...clients.map((client) => [
      `${names[client.runtime]} client`,
      ...servers.map((_, server) => cell(outcome(client, server, check)))
    ])
  ])

const cell = ({ figures: [figure], ok }: Outcome): string => `${mark(ok)} ${ok ? figure : "failed"}`

const slowReaders = ({ clients, servers }: Findings): ReadonlyArray<string> => {
  const rows = clients.flatMap((client) =>
    servers.map((server, index) => {
      const { figures, ok } = outcome(client, index, "slow reader")
      const [accepted = "", memory = "", rest = ""] = figures
      return [`${names[client.runtime]} client, ${names[server]} server`, `${mark(ok)} ${accepted}`, memory, rest]
    })
  )
  return table([["", "accepted of 128 MiB", "memory of the server", "read on"], ...rows])
}

const errors = ({ clients, servers }: Findings): ReadonlyArray<string> =>
  table([
    ["", "nobody listens", ...servers.map((server) => `a ${names[server]} server does`)],
    ...clients.map((client) => {
      const refused = servers.map((_, server) => outcome(client, server, "refused connect"))
      return [
        `${names[client.runtime]} client`,
        cell(refused.find(({ ok }) => !ok) ?? refused[0]!),
        ...servers.map((_, server) => cell(outcome(client, server, "busy port")))
      ]
    })
  ])

/** The messages of the errors, as the first client had them from the first server. */
const messages = ({ clients }: Findings): ReadonlyArray<string> =>
  checks.slice(3).flatMap((check) => outcome(clients[0]!, 0, check).figures.slice(1)).map((text) => `"${text}"`)

const table = (rows: ReadonlyArray<ReadonlyArray<string>>): ReadonlyArray<string> => {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)))
  const lines = rows.map((row) => row.map((text, column) => text.padEnd(widths[column]!)).join("   ").trimEnd())
  return lines.map((line, index) => index === 0 ? style("dim", line) : line)
}
