/**
 * The real clients and servers of a protocol, from Debian's packages: each is run to its end, or skipped with a line
 * that says so.
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process"
import type { Ended } from "../examples/Child.ts"

/** Whether a program is on the PATH, of which Debian package it is if not. */
export const installed = (program: string, debian: string): boolean => {
  const found = spawnSync("which", [program]).status === 0
  if (!found) console.log(`${program} not found: what it would test is skipped (apt-get install ${debian})`)
  return found
}

const running = new Set<ChildProcess>()

/** Runs a program to its end, with a text on its standard input. */
export const runTool = (program: string, args: ReadonlyArray<string>, input = ""): Promise<Ended> =>
  new Promise((resolve, reject) => {
    const child = spawn(program, args, { timeout: 50_000 })
    running.add(child)
    let stdout = ""
    let stderr = ""
    child.stdout.setEncoding("utf8").on("data", (text) => stdout += text)
    child.stderr.setEncoding("utf8").on("data", (text) => stderr += text)
    child.stdin.on("error", () => {}).end(input)
    child.on("error", reject)
    child.on("close", (code) => {
      running.delete(child)
      resolve({ code, stdout, stderr })
    })
  })

/** Starts a server of somebody else's; `ready` is in what it prints once it listens. */
export const startTool = (
  program: string,
  args: ReadonlyArray<string>,
  ready: RegExp,
  argv0 = program
): Promise<void> =>
  new Promise((resolve, reject) => {
    const child = spawn(program, args, { argv0 })
    running.add(child)
    let stdout = ""
    child.stdout.setEncoding("utf8").on("data", (text) => {
      stdout += text
      if (ready.test(stdout)) resolve()
    })
    child.on("error", reject)
    child.on("close", () => {
      running.delete(child)
      reject(new Error(`${program} ended: ${stdout}`))
    })
  })

export const stopTools = (): void => {
  for (const child of running) child.kill("SIGKILL")
}
