/**
 * Where a server spends its time: `--profile` has the runtime itself sample it, and this sums up the file that comes of it. Idle time and
 * what belongs to no function are left out; the whole profile opens in any browser's developer tools.
 */
import * as fs from "node:fs"
import * as path from "node:path"

/** The parts of a `.cpuprofile` that are used here. https://chromedevtools.github.io/devtools-protocol/tot/Profiler/#type-Profile */
interface Profile {
  readonly nodes: ReadonlyArray<{
    readonly id: number
    readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number }
  }>
  readonly samples: ReadonlyArray<number>
  readonly timeDeltas: ReadonlyArray<number>
}

const nobody = new Set(["(idle)", "(root)"])

const placeOf = (url: string, line: number): string => {
  const file = url.replace(/^.*\/node_modules\//, "").replace(/^.*\/\.bench\//, "own ")
  return file === "" ? "" : `  ${file}:${line + 1}`
}

/** Whose code a function is: the collector and system calls have no file. */
const ownerOf = (name: string, url: string): string => {
  if (name === "(garbage collector)") return "collector"
  if (url === "") return "native"
  if (url.includes("/node_modules/effect/")) return "effect"
  return url.includes("/.bench/") ? "own" : "runtime"
}

const shares = (times: ReadonlyMap<string, number>, total: number, count: number): ReadonlyArray<string> => {
  const top = [...times].sort(([, a], [, b]) => b - a).slice(0, count)
  return top.map(([name, time]) => `  ${(100 * time / total).toFixed(1).padStart(5)} %  ${name}`)
}

/** The newest profile of a folder as text: whose code took most time, and which functions by themselves. */
export const summarize = (folder: string, count: number): string => {
  const profile = JSON.parse(fs.readFileSync(newest(folder), "utf8")) as Profile
  const frames = new Map(profile.nodes.map(({ callFrame, id }) => [id, callFrame]))
  const owners = new Map<string, number>()
  const functions = new Map<string, number>()
  let total = 0
  profile.samples.forEach((id, index) => {
    const { functionName, lineNumber, url } = frames.get(id)!
    if (nobody.has(functionName)) return
    const time = Math.max(0, profile.timeDeltas[index]!)
    const add = (times: Map<string, number>, name: string) => times.set(name, (times.get(name) ?? 0) + time)
    total += time
    add(owners, ownerOf(functionName, url))
    add(functions, `${functionName || "(anonymous)"}${placeOf(url, lineNumber)}`)
  })
  return [...shares(owners, total, owners.size), "", ...shares(functions, total, count)].join("\n")
}

const newest = (folder: string): string => {
  const files = fs.readdirSync(folder).filter((name) => name.endsWith(".cpuprofile")).map((name) =>
    path.join(folder, name)
  )
  if (files.length === 0) throw new Error(`no profile in ${folder}`)
  return files.reduce((a, b) => fs.statSync(a).mtimeMs > fs.statSync(b).mtimeMs ? a : b)
}
