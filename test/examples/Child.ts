/**
 * An example as a child process, under a chosen runtime: its lines as they come, its exit, its signals.
 * At most three run at once; `stopAll` leaves none behind.
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process"
import { existsSync } from "node:fs"
import { fileURLToPath } from "node:url"

const commands = {
  node: ["node", "--import", "tsx"],
  deno: ["deno", "run", "-A"],
  bun: ["bun"]
} as const

export type Runtime = keyof typeof commands

const isInstalled = (runtime: string): boolean => {
  const found = spawnSync(runtime, ["--version"]).status === 0
  if (!found) console.log(`${runtime} not found: the examples are not tested under it`)
  return found
}

export const runtimes = (Object.keys(commands) as Array<Runtime>).filter(isInstalled)

const examples = new URL("../../examples/", import.meta.url)

const fileOf = (name: string): string => {
  const files = ["tutorial", "services"].map((folder) => fileURLToPath(new URL(`${folder}/${name}.ts`, examples)))
  return files.find((file) => existsSync(file)) ?? name
}

export interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface Child {
  /** The next line of standard output that matches, of those not looked at yet. Rejects if the program ends before. */
  readonly line: (pattern: RegExp) => Promise<RegExpExecArray>
  readonly type: (text: string) => void
  readonly signal: (signal: "SIGINT" | "SIGTERM" | "SIGKILL") => void
  /** Both outputs in full, once the process is gone and they are closed. */
  readonly ended: Promise<Ended>
}

export interface StartOptions {
  /** What is on standard input, which then ends; without it standard input stays open. */
  readonly input?: string
  /** The second process of a test, which does not wait for its turn: tests that all have one would wait for ever. */
  readonly second?: boolean
  /** Beside the variables of this process. */
  readonly env?: Readonly<Record<string, string>>
}

const slots = 3
const running = new Set<ChildProcess>()
const queue: Array<() => void> = []

const slot = async (): Promise<void> => {
  while (running.size >= slots) await new Promise<void>((resolve) => queue.push(resolve))
}

export const start = async (
  runtime: Runtime,
  name: string,
  flags: ReadonlyArray<string> = [],
  { env, input, second = false }: StartOptions = {}
): Promise<Child> => {
  if (!second) await slot()
  const [command, ...args] = commands[runtime]
  const child = spawn(command, [...args, fileOf(name), ...flags], { env: { ...process.env, ...env } })
  running.add(child)

  let stdout = ""
  let stderr = ""
  let looked = 0
  let onOutput = () => {}
  let gone = false
  child.stdout.setEncoding("utf8").on("data", (text) => {
    stdout += text
    onOutput()
  })
  child.stderr.setEncoding("utf8").on("data", (text) => stderr += text)
  // A program that has ended needs no more answers.
  child.stdin.on("error", () => {})
  if (input !== undefined) child.stdin.end(input)

  const ended = new Promise<Ended>((resolve) =>
    child.on("close", (code) => {
      gone = true
      running.delete(child)
      queue.shift()?.()
      onOutput()
      resolve({ code, stdout, stderr })
    })
  )

  const line = async (pattern: RegExp): Promise<RegExpExecArray> => {
    while (true) {
      for (let end = stdout.indexOf("\n", looked); end !== -1; end = stdout.indexOf("\n", looked)) {
        const match = pattern.exec(stdout.slice(looked, end))
        looked = end + 1
        if (match !== null) return match
      }
      if (gone) throw new Error(`${name} under ${runtime} ended without a line like ${pattern}:\n${stdout}${stderr}`)
      await new Promise<void>((resolve) => onOutput = resolve)
    }
  }

  return { line, type: (text) => void child.stdin.write(text), signal: (signal) => void child.kill(signal), ended }
}

/** Runs a program to its end. */
export const finish = async (...args: Parameters<typeof start>): Promise<Ended> => (await start(...args)).ended

/** Starts a server on a free port. */
export const startServer = async (
  runtime: Runtime,
  name: string,
  flags: ReadonlyArray<string> = [],
  options?: StartOptions
) => {
  const child = await start(runtime, name, ["--port", "0", ...flags], options)
  const [, port] = await child.line(/^listening on 127\.0\.0\.1:(\d+)$/)
  return { ...child, port: Number(port) }
}

export const stopAll = (): void => {
  for (const child of running) child.kill("SIGKILL")
}
