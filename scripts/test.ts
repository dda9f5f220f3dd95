/**
 * Runs the test suite under each runtime, one after another, and ends with one line: `N passed, N failed`.
 * Usage: `tsx scripts/test.ts [node] [deno] [bun] [node24] [vitest arguments]`; no runtime named means node, deno, bun.
 * Exits with 1 if a test failed, or if a run ended in any other way than it should.
 */
import { spawnSync } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { runtimes } from "./runtimes.ts"

const vitest = "node_modules/vitest/vitest.mjs"

/** How to run vitest inside each runtime. Without `--bun`, Bun would hand it to Node. */
const commands = {
  ...runtimes,
  node: ["node"],
  node24: ["npx", "--yes", "--package", "node@24", "--", "node"]
} as const

type Runtime = keyof typeof commands

interface Outcome {
  readonly runtime: Runtime
  readonly passed: number
  readonly failed: number
  readonly skipped: number
  readonly seconds: number
}

const isRuntime = (text: string): text is Runtime => Object.hasOwn(commands, text)

const run = (runtime: Runtime, args: ReadonlyArray<string>, report: string): Outcome => {
  console.log(`\n== ${runtime} ==`)
  const started = performance.now()
  const [command, ...prefix] = commands[runtime]
  const { status } = spawnSync(
    command,
    [...prefix, vitest, "run", "--reporter=default", "--reporter=json", `--outputFile.json=${report}`, ...args],
    { stdio: "inherit", env: { ...process.env, EXPECT_RUNTIME: runtime }, timeout: 900_000 }
  )
  const counts = readCounts(report)
  // A crash, an unhandled rejection or a file that does not load fails the run without failing a test.
  const failed = status === 0 ? counts.failed : Math.max(counts.failed, 1)
  return { ...counts, runtime, failed, seconds: (performance.now() - started) / 1000 }
}

const readCounts = (report: string) => {
  try {
    const json = JSON.parse(readFileSync(report, "utf8"))
    return { passed: json.numPassedTests, failed: json.numFailedTests, skipped: json.numPendingTests }
  } catch {
    return { passed: 0, failed: 1, skipped: 0 }
  }
}

const main = (args: ReadonlyArray<string>): number => {
  const named = args.filter(isRuntime)
  const rest = args.filter((arg) => !isRuntime(arg))
  const folder = mkdtempSync(join(tmpdir(), "netkit-test-"))
  try {
    const outcomes = (named.length > 0 ? named : ["node", "deno", "bun"] as const)
      .map((runtime) => run(runtime, rest, join(folder, `${runtime}.json`)))
    console.log()
    for (const { runtime, passed, failed, skipped, seconds } of outcomes) {
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

process.exitCode = main(process.argv.slice(2))
