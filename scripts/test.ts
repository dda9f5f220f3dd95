/**
 * Runs the test suite under each runtime, one after another, and ends with one line: `N passed, N failed`.
 * Usage: `tsx scripts/test.ts [node] [deno] [bun] [node24] [vitest arguments]`; no runtime named means node, deno, bun.
 * What failed is named again at the end, and is run once more: what passes only then is counted as passed and named as unsteady.
 */
import { spawn } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, relative } from "node:path"
import { runtimes } from "./runtimes.ts"

const vitest = "node_modules/vitest/vitest.mjs"

/** How to run vitest inside each runtime. Without `--bun`, Bun would hand it to Node. */
const commands = {
  ...runtimes,
  node: ["node"],
  node24: ["npx", "--yes", "--package", "node@24", "--", "node"]
} as const

/** What goes through a pipe is coloured as it would be without. */
const colours = process.stdout.isTTY ? { FORCE_COLOR: "1" } : {}

type Runtime = keyof typeof commands

const isRuntime = (text: string): text is Runtime => Object.hasOwn(commands, text)

/** What of vitest's report is used here. */
interface Report {
  readonly numPassedTests: number
  readonly numFailedTests: number
  readonly numPendingTests: number
  readonly testResults: ReadonlyArray<{
    readonly name: string
    readonly status: string
    readonly message: string
    readonly assertionResults: ReadonlyArray<{
      readonly status: string
      readonly fullName: string
      readonly failureMessages: ReadonlyArray<string>
    }>
  }>
}

interface Outcome {
  readonly passed: number
  readonly failed: number
  readonly skipped: number
  readonly seconds: number
  /** A line for each failure. */
  readonly failures: ReadonlyArray<string>
  /** Files with a failure; none where the run itself ended badly. */
  readonly files: ReadonlyArray<string>
}

const run = async (runtime: Runtime, args: ReadonlyArray<string>, folder: string): Promise<Outcome> => {
  console.log(`\n== ${runtime} ==`)
  const started = performance.now()
  const report = join(folder, `${runtime}.json`)
  rmSync(report, { force: true })
  const [command, ...prefix] = commands[runtime]
  const child = spawn(
    command,
    [...prefix, vitest, "run", "--reporter=default", "--reporter=json", `--outputFile.json=${report}`, ...args],
    {
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, ...colours, EXPECT_RUNTIME: runtime },
      timeout: 900_000
    }
  )
  let output = ""
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (chunk) => {
      process.stdout.write(chunk)
      output += chunk
    })
  }
  const [code, signal] = await once(child, "close")
  return { ...read(report, signal ?? code, output), seconds: (performance.now() - started) / 1000 }
}

const read = (path: string, ended: unknown, output: string): Omit<Outcome, "seconds"> => {
  const report = readReport(path)
  const bad = report.testResults.filter(({ status }) => status !== "passed")
  const failures = bad.flatMap(({ assertionResults, message, name }) => {
    const failed = assertionResults.filter(({ status }) => status === "failed")
    return failed.length === 0
      ? [`${relative(".", name)}: ${message}`]
      : failed.map(({ failureMessages, fullName }) =>
        `${relative(".", name)}: ${fullName}: ${failureMessages[0]?.split("\n")[0]}`
      )
  })
  // A crash, an unhandled rejection or a report that is missing fails the run without failing a test.
  if (ended !== 0 && failures.length === 0) failures.push(`the run ended with ${ended}: ${unhandled(output)}`)
  return {
    passed: report.numPassedTests,
    failed: failures.length,
    skipped: report.numPendingTests,
    failures,
    files: bad.map(({ name }) => name)
  }
}

const readReport = (path: string): Report => {
  try {
    return JSON.parse(readFileSync(path, "utf8"))
  } catch {
    return { numPassedTests: 0, numFailedTests: 0, numPendingTests: 0, testResults: [] }
  }
}

/** What vitest tells of errors outside of tests, or else the end of what it told. */
const unhandled = (output: string): string => {
  const at = output.indexOf("Unhandled")
  return at === -1 ? output.slice(-1000) : output.slice(at, at + 2000)
}

/** Runs the suite, and what failed of it once more. */
const settle = async (runtime: Runtime, args: ReadonlyArray<string>, folder: string) => {
  const first = await run(runtime, args, folder)
  if (first.failed === 0) return { ...first, runtime, unsteady: [] }
  // One that loads too much may fail for want of time; one that is wrong fails again.
  const again = await run(runtime, [...args, ...first.files], folder)
  return {
    runtime,
    passed: first.files.length === 0 ? again.passed : first.passed + first.failed - again.failed,
    failed: again.failed,
    skipped: first.skipped,
    seconds: first.seconds + again.seconds,
    failures: again.failures,
    unsteady: again.failed === 0 ? first.failures : []
  }
}

const main = async (args: ReadonlyArray<string>): Promise<number> => {
  const named = args.filter(isRuntime)
  const rest = args.filter((arg) => !isRuntime(arg))
  const folder = mkdtempSync(join(tmpdir(), "netkit-test-"))
  try {
    const outcomes = []
    for (const runtime of named.length > 0 ? named : ["node", "deno", "bun"] as const) {
      outcomes.push(await settle(runtime, rest, folder))
    }
    console.log()
    for (const { failed, failures, passed, runtime, seconds, skipped, unsteady } of outcomes) {
      for (const failure of failures) console.log(`failed on ${runtime}: ${failure}`)
      for (const failure of unsteady) console.log(`unsteady on ${runtime}, passed when run again: ${failure}`)
      console.log(
        `${runtime.padEnd(6)} ${passed} passed, ${failed} failed, ${skipped} skipped in ${seconds.toFixed(1)} s`
      )
    }
    const failed = outcomes.reduce((sum, outcome) => sum + outcome.failed, 0)
    console.log(`${outcomes.reduce((sum, outcome) => sum + outcome.passed, 0)} passed, ${failed} failed`)
    return failed === 0 ? 0 : 1
  } finally {
    rmSync(folder, { recursive: true })
  }
}

process.exitCode = await main(process.argv.slice(2))
