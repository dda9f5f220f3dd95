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

/** The newest profile of a folder as text: the functions that took most time by themselves. */
export const summarize = (folder: string, count: number): string => {
  const profile = JSON.parse(fs.readFileSync(newest(folder), "utf8")) as Profile
  const names = new Map(profile.nodes.map(({ callFrame: { functionName, lineNumber, url }, id }) => [
    id,
    nobody.has(functionName) ? undefined : `${functionName || "(anonymous)"}${placeOf(url, lineNumber)}`
  ]))
  const times = new Map<string, number>()
  let total = 0
  profile.samples.forEach((id, index) => {
    const name = names.get(id)
    if (name === undefined) return
    const time = Math.max(0, profile.timeDeltas[index]!)
    total += time
    times.set(name, (times.get(name) ?? 0) + time)
  })
  const top = [...times].sort(([, a], [, b]) => b - a).slice(0, count)
  return top.map(([name, time]) => `  ${(100 * time / total).toFixed(1).padStart(5)} %  ${name}`).join("\n")
}

const newest = (folder: string): string => {
  const files = fs.readdirSync(folder).filter((name) => name.endsWith(".cpuprofile")).map((name) =>
    path.join(folder, name)
  )
  if (files.length === 0) throw new Error(`no profile in ${folder}`)
  return files.reduce((a, b) => fs.statSync(a).mtimeMs > fs.statSync(b).mtimeMs ? a : b)
}
