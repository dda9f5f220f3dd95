/**
 * What the demo found, as text for people: a title and a table for each check. Colours on a terminal only, and not under NO_COLOR.
 */
import process from "node:process"
import type { Outcome } from "./checks/check.ts"
import type { Line } from "./client.ts"
import type { Runtime } from "./processes.ts"

/** What one client printed about one runtime's servers. */
export interface Pair {
  readonly client: Runtime
  readonly server: Runtime
  readonly lines: ReadonlyArray<Line>
}

const colours = process.stdout.isTTY && !process.env["NO_COLOR"]
const codes = { bold: 1, dim: 2, red: 31, green: 32 }
const style = (name: keyof typeof codes, text: string): string => colours ? `\x1b[${codes[name]}m${text}\x1b[0m` : text
const names: Readonly<Record<Runtime, string>> = { node: "Node", deno: "Deno", bun: "Bun" }

const checks = ["exchange", "half-close", "slow reader", "refused connect", "busy port"]

export const render = (
  pairs: ReadonlyArray<Pair>,
  seconds: number
): { readonly passed: boolean; readonly text: string } => {
  const total = pairs.length * checks.length
  const good = pairs.flatMap((pair) => checks.filter((check) => outcome(pair, check).ok)).length
  const passed = good === total
  const sections = [
    introduction(pairs),
    section(
      "Exchange",
      "200 messages of 64 bytes are echoed, each sent when the last is back, and a request is answered.\nTime of one round trip:",
      matrix(pairs, "exchange")
    ),
    section(
      "Half-close",
      "The client asks for 16 MiB, says that it will send no more (FIN), and still gets every byte.\nReceived, SHA-256 compared:",
      matrix(pairs, "half-close")
    ),
    section(
      "A reader that does not read",
      "The client asks for 128 MiB and reads nothing. The server's writes wait: no more is accepted than the\n" +
        "kernel holds, and the server's memory stays as it was. Then the client reads on, and all of it comes.",
      slowReaders(pairs)
    ),
    section(
      "What goes wrong has a type",
      "Connecting where nobody listens, and listening where another process does, fail with the same tagged errors on\n" +
        "every runtime, whatever runtime the other process is on:",
      [...errors(pairs), "", ...messages(pairs)]
    ),
    ...failures(pairs),
    `${mark(passed)} ${good} of ${total} checks passed in ${seconds.toFixed(1)} s`
  ]
  return { passed, text: coloured(sections.join("\n\n")) }
}

const introduction = (pairs: ReadonlyArray<Pair>): string => {
  const versions = new Map(pairs.map(({ client, lines }) => [client, lines.find((line) => "runtime" in line)]))
  const texts = [...versions].map(([runtime, line]) =>
    `${names[runtime]} ${line?.runtime === runtime ? line.version : "(did not run)"}`
  )
  return `${style("bold", "effect-netkit")} on ${texts.join(", ")}\n` +
    "Each runtime ran an echo server and a request server, and a client that called those of all: every one a process of\n" +
    "its own, every one the same TypeScript (demo/echo-server.ts, demo/request-server.ts, demo/client.ts), over 127.0.0.1."
}

const section = (title: string, explanation: string, table: ReadonlyArray<string>): string =>
  [style("bold", title), explanation, "", ...table.map((line) => line === "" ? "" : `  ${line}`)].join("\n")

const outcome = ({ client, lines }: Pair, check: string): Outcome => {
  const ran = lines.some((line) => "runtime" in line && line.runtime === client)
  const found = lines.find((line): line is Extract<Line, Outcome> => "check" in line && line.check === check)
  return ran && found !== undefined ? found : { ok: false, figures: ["no result"] }
}

/** What failed, in full. */
const failures = (pairs: ReadonlyArray<Pair>): ReadonlyArray<string> => {
  const texts = pairs.flatMap((pair) =>
    checks.map((check) => ({ check, ...outcome(pair, check) })).filter(({ ok }) => !ok).map(({ check, figures }) =>
      `${mark(false)} ${names[pair.client]} client, ${names[pair.server]} server, ${check}: ${figures.join(", ")}`
    )
  )
  return texts.length === 0 ? [] : [texts.join("\n")]
}

const mark = (ok: boolean): string => ok ? "✓" : "✗"

/** The marks get their colours last, so that the tables can count characters. */
const coloured = (text: string): string => text.replaceAll("✓", style("green", "✓")).replaceAll("✗", style("red", "✗"))

/** A row for each client, a column for each server. */
const matrix = (pairs: ReadonlyArray<Pair>, check: string): ReadonlyArray<string> =>
  table([
    ["", ...serversOf(pairs).map((server) => `${names[server]} server`)],
    ...byClient(pairs, (own) => own.map((pair) => cell(outcome(pair, check))))
  ])

const serversOf = (pairs: ReadonlyArray<Pair>) => [...new Set(pairs.map(({ server }) => server))]

const byClient = (pairs: ReadonlyArray<Pair>, cells: (own: ReadonlyArray<Pair>) => ReadonlyArray<string>) =>
  [...new Set(pairs.map(({ client }) => client))].map((client) => [
    `${names[client]} client`,
    ...cells(pairs.filter((pair) => pair.client === client))
  ])

const errors = (pairs: ReadonlyArray<Pair>): ReadonlyArray<string> =>
  table([
    ["", "nobody listens", ...serversOf(pairs).map((server) => `a ${names[server]} server does`)],
    ...byClient(pairs, (own) => {
      const refused = own.map((pair) => outcome(pair, "refused connect"))
      return [
        cell(refused.find(({ ok }) => !ok) ?? refused[0]!),
        ...own.map((pair) => cell(outcome(pair, "busy port")))
      ]
    })
  ])

/** The messages of the errors, as the first pair had them. */
const messages = ([pair]: ReadonlyArray<Pair>): ReadonlyArray<string> =>
  ["refused connect", "busy port"].flatMap((check) => outcome(pair!, check).figures.slice(1)).map((text) => `"${text}"`)

const cell = ({ figures: [figure], ok }: Outcome): string => `${mark(ok)} ${ok ? figure : "failed"}`

const slowReaders = (pairs: ReadonlyArray<Pair>): ReadonlyArray<string> => {
  const rows = pairs.map((pair) => {
    const found = outcome(pair, "slow reader")
    const [accepted = "", memory = "", rest = ""] = found.figures
    return [`${names[pair.client]} client, ${names[pair.server]} server`, `${mark(found.ok)} ${accepted}`, memory, rest]
  })
  return table([["", "accepted of 128 MiB", "memory of the server", "read on"], ...rows])
}

const table = (rows: ReadonlyArray<ReadonlyArray<string>>): ReadonlyArray<string> => {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)))
  const lines = rows.map((row) => row.map((text, column) => text.padEnd(widths[column]!)).join("   ").trimEnd())
  return lines.map((line, index) => index === 0 ? style("dim", line) : line)
}
