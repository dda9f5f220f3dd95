/**
 * `npm run bench`: servers of this SDK, of the bare runtimes and of peers under the same load, turn by turn. What a message costs against
 * the bare runtime is what counts: it moves little with what else the machine does. `--help` tells the options.
 */
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import process from "node:process"
import { Command, InvalidArgumentError, Option } from "commander"
import * as Baseline from "./baseline.ts"
import {
  all,
  type Case,
  cases,
  type Contender,
  contenders,
  loads,
  type Runtime,
  runtimes,
  type Sample,
  scaling
} from "./cases.ts"
import { drawScaling } from "./plots.ts"
import {
  compile,
  installPeers,
  pinned,
  profiles,
  sample,
  type Server,
  start,
  startUpstream,
  versionOf
} from "./processes.ts"
import { summarize } from "./profile.ts"
import { type Measurement, render, type Report } from "./report.ts"

const positive = (text: string): number => {
  const value = Number(text)
  if (!(value > 0)) throw new InvalidArgumentError("It must be a number above 0.")
  return value
}

interface Options {
  readonly runtime: ReadonlyArray<Runtime>
  readonly case?: ReadonlyArray<string>
  readonly rounds: number
  readonly seconds: number
  readonly peers?: true
  readonly quick?: true
  readonly baseline?: true
  readonly scaling?: true
  readonly profile?: true
  readonly json: string
}

const parse = (): Options => {
  const options = new Command("npm run bench --")
    .description("Measures servers on this SDK, on the bare runtimes and on peers, and compares them.")
    .addOption(new Option("--runtime <name...>", "these runtimes alone").choices(runtimes).default(runtimes, "all"))
    .addOption(new Option("--case <name...>", "these cases alone").choices(all.map(({ name }) => name)))
    .option("--rounds <n>", "measurements of each server in each case", positive, 5)
    .option("--seconds <n>", "length of a measurement", positive, 1.5)
    .option("--peers", "also the peers that must be installed first, from the npm registry")
    .option("--quick", "the cases that matter most, briefly, against the baseline")
    .option("--baseline", "the same for longer, and the figures become the baseline")
    .option("--scaling", "from 1 to 10,000 connections and from 16 bytes to 16 MiB instead, drawn into docs/plots")
    .option("--profile", "where the servers of this SDK and the bare ones spend their time instead")
    .option("--json <file>", "where to write the figures", path.join("bench", "results", "latest.json"))
    .parse()
    .opts<Options>()
  if (options.quick) return { ...options, rounds: 3, seconds: 0.3 }
  if (options.baseline) return { ...options, rounds: 5, seconds: 0.3 }
  return options.scaling ? { ...options, rounds: 3, seconds: 0.7 } : options
}

const options = parse()
const brief = options.quick === true || options.baseline === true
/** Peers and the like are left out of it. */
const ownAndRaw = brief || options.scaling === true || options.profile === true

const chosenCases = (): ReadonlyArray<Case> => {
  if (options.scaling) return [...scaling.connections, ...scaling.sizes]
  const named = options.case === undefined ? cases : all.filter(({ name }) => options.case?.includes(name))
  return brief ? named.filter(({ quick }) => quick) : named
}

const chosenContenders = ({ name, protocol }: Case): ReadonlyArray<Contender> =>
  options.runtime.flatMap((runtime) =>
    contenders.filter(({ installed, kind, only, protocols, ...each }) =>
      each.runtime === runtime && protocols.includes(protocol) && (only?.includes(name) ?? true) &&
      (options.peers || !installed) && (kind === "raw" || kind === "netkit" || !ownAndRaw)
    ).sort((a, b) => Number(b.kind === "raw") - Number(a.kind === "raw"))
  )

const progress = (text: string): void => {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[2K${text}`)
}

const measure = async (each: Case): Promise<ReadonlyArray<Measurement>> => {
  const chosen = chosenContenders(each)
  const upstream = each.protocol === "relay" ? await startUpstream() : undefined
  const begin = (contender: Contender) => start(contender, each, upstream?.address.port ?? 0)
  const { fresh } = loads[each.load]
  const lasting = fresh ? [] : await Promise.all(chosen.map(begin))
  const once = async (contender: Contender): Promise<Sample> => {
    const server = await begin(contender)
    return await sample(server, each, options.seconds).finally(server.stop)
  }
  // A server that has just started runs code that is not compiled yet.
  for (const [index, server] of lasting.entries()) {
    progress(`${each.title}: warming ${chosen[index]!.runtime} ${chosen[index]!.title}`)
    await sample(server, each, 2 * options.seconds)
  }
  const samples = chosen.map((): Array<Sample> => [])
  for (let round = 1; round <= options.rounds; round++) {
    for (const [index, contender] of chosen.entries()) {
      progress(`${each.title}: round ${round} of ${options.rounds}, ${contender.runtime} ${contender.title}`)
      const server: Server | undefined = lasting[index]
      samples[index]!.push(await (server ? sample(server, each, options.seconds) : once(contender)))
    }
  }
  await Promise.all([...lasting, ...(upstream ? [upstream] : [])].map(({ stop }) => stop()))
  return chosen.map(({ kind, runtime, title }, index) => ({
    case: each.name,
    runtime,
    kind,
    title,
    samples: samples[index]!
  }))
}

const measureAll = async (): Promise<ReadonlyArray<Measurement>> => {
  const measurements: Array<Measurement> = []
  for (const each of chosenCases()) measurements.push(...await measure(each))
  progress("")
  return measurements
}

const profile = async (each: Case): Promise<void> => {
  const upstream = each.protocol === "relay" ? await startUpstream() : undefined
  for (const contender of chosenContenders(each)) {
    const flags = [...(contender.flags ?? []), "--cpu-prof", `--cpu-prof-dir=${profiles}`]
    const server = await start({ ...contender, flags }, each, upstream?.address.port ?? 0)
    await sample(server, each, options.seconds)
    await server.stop()
    console.log(`\n${each.title}: ${contender.runtime} ${contender.title}\n${summarize(profiles, 16)}`)
  }
  await upstream?.stop()
}

const report = async (): Promise<void> => {
  const report: Report = {
    date: new Date().toISOString(),
    machine: `${os.cpus()[0]?.model ?? os.arch()}, ${os.availableParallelism()} CPUs, ${os.type()} ${os.release()}`,
    versions: Object.fromEntries(options.runtime.map((runtime) => [runtime, versionOf(runtime)])),
    pinned,
    rounds: options.rounds,
    seconds: options.seconds,
    measurements: await measureAll()
  }
  console.log(render(report))
  fs.mkdirSync(path.dirname(options.json), { recursive: true })
  fs.writeFileSync(options.json, `${JSON.stringify(report, undefined, 1)}\n`)
  console.log(`figures in ${options.json}`)
  if (options.scaling) console.log(`drawn: ${drawScaling(report).join(", ")}`)
  if (options.baseline) Baseline.write(report)
  else if (options.quick) console.log(`\n${Baseline.compare(report)}`)
}

if (options.peers) installPeers()
await compile()
if (options.profile) { for (const each of chosenCases()) await profile(each) }
else await report()
