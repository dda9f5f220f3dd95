/**
 * The processes of a benchmark: everything is compiled first, so that no loader is measured; servers and load have a CPU each, where that
 * can be had; what a process has to say is its first line, as JSON.
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import * as fs from "node:fs"
import * as net from "node:net"
import * as os from "node:os"
import * as path from "node:path"
import process from "node:process"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import { build, type Options } from "tsup"
import { type Case, type Contender, contenders, type LoadKind, type Runtime, type Sample } from "./cases.ts"
import { cpuTimeOf, type Load } from "./machine.ts"
import type { Announcement } from "./servers/announce.ts"

export const root = fileURLToPath(new URL("..", import.meta.url))
const outDir = path.join(root, ".bench")
export const profiles = path.join(outDir, "profiles")
const peers = path.join(root, "bench", "peers")
const binary = (name: string) => path.join(root, "node_modules/.bin", name)

const commands: Readonly<Record<Runtime, ReadonlyArray<string>>> = {
  node: [process.execPath],
  deno: [binary("deno"), "run", "-A"],
  bun: [binary("bun")]
}

/** Datagrams are sent under Bun, which sends and receives many by one system call. */
const programs: Readonly<Record<Exclude<LoadKind, "start">, { readonly runtime: Runtime; readonly name: string }>> = {
  streams: { runtime: "node", name: "streams" },
  datagrams: { runtime: "bun", name: "datagrams" },
  flood: { runtime: "bun", name: "datagrams" },
  idle: { runtime: "node", name: "idle" }
}

export const pinned = os.availableParallelism() > 1 && spawnSync("taskset", ["-c", "0,1", "true"]).status === 0
const onCpu = (cpu: number, command: ReadonlyArray<string>) =>
  pinned ? ["taskset", "-c", String(cpu), ...command] : command

export const versionOf = (runtime: Runtime): string => {
  const { stdout } = spawnSync(commands[runtime][0]!, ["--version"], { encoding: "utf8" })
  return /\d+\.\d+\.\d+/.exec(stdout)?.[0] ?? "?"
}

const output = {
  config: false,
  silent: true,
  outDir,
  format: ["esm"],
  target: "es2022",
  platform: "node",
  removeNodeProtocol: false
} as const satisfies Options

const source = (name: string) => path.join(root, "bench", `${name}.ts`)

export const compile = async (): Promise<void> => {
  const servers = contenders.filter(({ bundled, installed }) => !bundled && !installed)
  const names = new Set([...Object.values(programs), ...servers.map(({ server }) => ({ name: `servers/${server}` }))]
    .map(({ name }) => name))
  await build({ ...output, clean: true, entry: [...names].map(source), skipNodeModulesBundle: true })
  const whole = new Set(contenders.flatMap(({ bundled, server }) => bundled ? [server] : []))
  const entry = Object.fromEntries([...whole].map((server) => [`bundled/${server}`, source(`servers/${server}`)]))
  await build({ ...output, entry, noExternal: [/./], minify: true })
}

/** Peers that cannot be installed beside the rest, from the registry as their lock file says. */
export const installPeers = (): void => {
  for (const name of fs.readdirSync(peers)) {
    const folder = path.join(peers, name)
    if (fs.existsSync(path.join(folder, "node_modules"))) continue
    const { status } = spawnSync("npm", ["ci", "--ignore-scripts"], { cwd: folder, stdio: ["ignore", 2, "inherit"] })
    if (status !== 0) throw new Error(`npm ci in ${folder} ended with ${status}`)
  }
}

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

export interface Server {
  readonly address: Announcement
  readonly startedAt: number
  readonly stop: () => Promise<void>
}

const listening = async (command: ReadonlyArray<string>): Promise<Server> => {
  const startedAt = performance.now()
  const child = run(command)
  // A server ends with its standard input, so also when this process is killed.
  const stop = async () => {
    const exit = once(child, "exit")
    child.stdin!.end()
    await exit
  }
  return { startedAt, stop, address: await firstLine<Announcement>(child) }
}

/** What `upstream` is the port of, a proxy passes everything on to. */
export const start = (contender: Contender, { protocol }: Case, upstream: number): Promise<Server> => {
  const { args = [], bundled, flags = [], installed, runtime, server } = contender
  const program = installed ? path.join(peers, server) : compiled(`${bundled ? "bundled" : "servers"}/${server}`)
  return listening(onCpu(0, [...commands[runtime], ...flags, program, protocol, String(upstream), ...args]))
}

/** The server behind a proxy, beside the load. */
export const startUpstream = (): Promise<Server> => listening(onCpu(1, [...commands.bun, compiled("servers/rawBun")]))

export const sample = (server: Server, each: Case, seconds: number): Promise<Sample> => {
  if (each.load === "start") return firstReply(server, each)
  const { name, runtime } = programs[each.load]
  const load: Load = { ...server.address, case: each.name, warmUpSeconds: Math.min(0.7, seconds), seconds }
  return firstLine<Sample>(run(onCpu(1, [...commands[runtime], compiled(name), JSON.stringify(load)])))
}

/** From the start of the process. */
const firstReply = async ({ address: { pid, port }, startedAt }: Server, { request }: Case): Promise<Sample> => {
  const socket = net.connect({ port, host: "127.0.0.1" })
  socket.write(request)
  await once(socket, "data")
  const p50 = performance.now() - startedAt
  const cost = cpuTimeOf(pid)
  socket.destroy()
  return { cost, rate: null, p50, p99: null, others: null }
}
