/**
 * `npm run bench`: servers of this SDK, of the bare runtimes and of @effect/platform-node under the same load, turn by turn.
 * Everything is compiled first, so that no loader is measured. CPU time a message against the bare runtime's is what counts: it
 * moves little with what else the machine does. `--help` tells the options.
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import process from "node:process"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import { Command, InvalidArgumentError, Option } from "commander"
import { build } from "tsup"
import {
  type Case,
  cases,
  type Contender,
  contenders,
  type LoadKind,
  type Protocol,
  type Runtime,
  runtimes,
  type Sample
} from "./cases.ts"
import type { Load } from "./machine.ts"
import { type Measurement, render, type Report } from "./report.ts"
import type { Announcement } from "./servers/announce.ts"

const root = fileURLToPath(new URL("..", import.meta.url))
const outDir = path.join(root, ".bench")
const binary = (name: string) => path.join(root, "node_modules/.bin", name)

const commands: Readonly<Record<Runtime, ReadonlyArray<string>>> = {
  node: [process.execPath],
  deno: [binary("deno"), "run", "-A"],
  bun: [binary("bun")]
}

/** Datagrams are sent under Bun, which sends and receives many by one system call. */
const loads: Readonly<Record<LoadKind, { readonly runtime: Runtime; readonly program: string }>> = {
  streams: { runtime: "node", program: "streams" },
  datagrams: { runtime: "bun", program: "datagrams" },
  flood: { runtime: "bun", program: "datagrams" }
}

const positive = (text: string): number => {
  const value = Number(text)
  if (!(value > 0)) throw new InvalidArgumentError("It must be a number above 0.")
  return value
}

interface Options {
  readonly runtime: ReadonlyArray<Runtime>
  readonly case: ReadonlyArray<string>
  readonly rounds: number
  readonly seconds: number
  readonly quick?: true
  readonly json: string
}

const parse = (): Options => {
  const names = cases.map(({ name }) => name)
  const options = new Command("npm run bench --")
    .description(
      "Measures servers on this SDK, on the bare runtimes and on @effect/platform-node, and compares them."
    )
    .addOption(new Option("--runtime <name...>", "these runtimes alone").choices(runtimes).default(runtimes, "all"))
    .addOption(new Option("--case <name...>", "these cases alone").choices(names).default(names, "all"))
    .option("--rounds <n>", "measurements of each server in each case", positive, 5)
    .option("--seconds <n>", "length of a measurement", positive, 1.5)
    .option("--quick", "3 rounds of half a second")
    .option("--json <file>", "where to write the figures", path.join("bench", "results", "latest.json"))
    .parse()
    .opts<Options>()
  return options.quick ? { ...options, rounds: 3, seconds: 0.5 } : options
}

const options = parse()

/** Server and load on a CPU each, where that can be had. */
const pinned = os.availableParallelism() > 1 && spawnSync("taskset", ["-c", "0,1", "true"]).status === 0
const onCpu = (cpu: number, command: ReadonlyArray<string>) =>
  pinned ? ["taskset", "-c", String(cpu), ...command] : command

const compile = () =>
  build({
    config: false,
    silent: true,
    clean: true,
    entry: [
      ...new Set([
        ...Object.values(loads).map(({ program }) => program),
        ...contenders.map(({ server }) => `servers/${server}`)
      ])
    ].map((name) => path.join(root, "bench", `${name}.ts`)),
    outDir,
    format: ["esm"],
    target: "es2022",
    platform: "node",
    removeNodeProtocol: false,
    skipNodeModulesBundle: true
  })

const compiled = (name: string) => path.join(outDir, `${name}.js`)

const run = (command: ReadonlyArray<string>): ChildProcess => {
  const [file, ...args] = command
  return spawn(file!, args, { cwd: root, stdio: ["pipe", "pipe", "inherit"] })
}

/** The first line that a process prints. */
const firstLine = async <A>(child: ChildProcess): Promise<A> => {
  for await (const line of createInterface(child.stdout!)) return JSON.parse(line) as A
  throw new Error(`${child.spawnargs.join(" ")} printed nothing`)
}

interface Server extends Contender {
  readonly address: Announcement
  readonly process: ChildProcess
}

const start = async (contender: Contender, protocol: Protocol): Promise<Server> => {
  const { flags = [], runtime, server } = contender
  const child = run(onCpu(0, [...commands[runtime], ...flags, compiled(`servers/${server}`), protocol]))
  return { ...contender, process: child, address: await firstLine<Announcement>(child) }
}

/** A server ends with its standard input, so also when this process is killed. */
const stop = async ({ process }: Server): Promise<void> => {
  const exit = once(process, "exit")
  process.stdin!.end()
  await exit
}

const sample = async (server: Server, each: Case): Promise<Sample> => {
  const load: Load = {
    ...server.address,
    case: each.name,
    warmUpSeconds: Math.min(0.7, options.seconds),
    seconds: options.seconds
  }
  const { program, runtime } = loads[each.load]
  return await firstLine<Sample>(run(onCpu(1, [...commands[runtime], compiled(program), JSON.stringify(load)])))
}

const progress = (text: string): void => {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[2K${text}`)
}

const measure = async (): Promise<ReadonlyArray<Measurement>> => {
  const measurements: Array<Measurement> = []
  for (const { name } of cases.filter(({ name }) => options.case.includes(name))) {
    const each = cases.find((other) => other.name === name)!
    const chosen = contenders.filter(({ only = name, protocols, runtime }) =>
      options.runtime.includes(runtime) && protocols.includes(each.protocol) && only === name
    )
    const servers = await Promise.all(chosen.map((contender) => start(contender, each.protocol)))
    const samples = servers.map((): Array<Sample> => [])
    for (let round = 1; round <= options.rounds; round++) {
      for (const [index, server] of servers.entries()) {
        progress(`${each.title}: round ${round} of ${options.rounds}, ${server.runtime} ${server.title}`)
        samples[index]!.push(await sample(server, each))
      }
    }
    await Promise.all(servers.map(stop))
    for (const [index, { kind, runtime, title }] of chosen.entries()) {
      measurements.push({ case: name, runtime, kind, title, samples: samples[index]! })
    }
  }
  progress("")
  return measurements
}

const versionOf = (runtime: Runtime): string => {
  const [file, ...args] = [commands[runtime][0]!, "--version"]
  return /\d+\.\d+\.\d+/.exec(spawnSync(file, args, { encoding: "utf8" }).stdout)?.[0] ?? "?"
}

await compile()
const report: Report = {
  date: new Date().toISOString(),
  machine: `${os.cpus()[0]?.model ?? os.arch()}, ${os.availableParallelism()} CPUs, ${os.type()} ${os.release()}`,
  versions: Object.fromEntries(options.runtime.map((runtime) => [runtime, versionOf(runtime)])),
  pinned,
  rounds: options.rounds,
  seconds: options.seconds,
  measurements: await measure()
}
console.log(render(report))
fs.mkdirSync(path.dirname(options.json), { recursive: true })
fs.writeFileSync(options.json, `${JSON.stringify(report, undefined, 1)}\n`)
console.log(`figures in ${options.json}`)
