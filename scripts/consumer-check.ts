/**
 * Installs the packed tarball into a fresh project outside the repository, and uses it there as a stranger would:
 * type-checks `scripts/consumer/main.ts` with TypeScript and with Deno, and runs it under Node, Deno and Bun.
 * The peers are the lowest versions that package.json allows. One line a step; exits with 1 at the first that fails.
 */
import { spawnSync } from "node:child_process"
import { copyFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { delimiter, join, resolve } from "node:path"

const project = mkdtempSync(join(tmpdir(), "netkit-consumer-"))
const environment = { ...process.env, PATH: `${resolve("node_modules/.bin")}${delimiter}${process.env["PATH"]}` }

const run = (folder: string, command: string): string => {
  const { status, stdout, stderr } = spawnSync(command, {
    shell: true,
    cwd: folder,
    env: environment,
    encoding: "utf8"
  })
  if (status !== 0) throw new Error(`${command}\n${stdout}${stderr}`)
  return stdout.trim()
}

const step = (name: string, act: () => string): void => {
  const started = performance.now()
  const result = act()
  console.log(
    `ok  ${name}${result === "" ? "" : `: ${result}`} (${((performance.now() - started) / 1000).toFixed(1)} s)`
  )
}

const pack = (): string => {
  run(".", `npm pack --ignore-scripts --pack-destination ${project}`)
  return readdirSync(project)[0]!
}

/** `^3.22.0` as `3.22.0`. */
const lowestPeers = (): ReadonlyArray<string> => {
  const { peerDependencies } = JSON.parse(readFileSync("package.json", "utf8"))
  return Object.entries(peerDependencies).map(([name, range]) => `${name}@${String(range).slice(1)}`)
}

const writeProject = (): void => {
  copyFileSync("scripts/consumer/main.ts", join(project, "main.ts"))
  const compilerOptions = {
    target: "ES2022",
    module: "NodeNext",
    lib: ["ES2022", "DOM", "DOM.Iterable", "ESNext.Disposable"],
    types: [],
    strict: true,
    exactOptionalPropertyTypes: true,
    skipLibCheck: false
  }
  writeFileSync(join(project, "package.json"), JSON.stringify({ type: "module", private: true }))
  writeFileSync(join(project, "tsconfig.json"), JSON.stringify({ compilerOptions, files: ["main.ts"] }))
  writeFileSync(join(project, "deno.json"), JSON.stringify({ nodeModulesDir: "manual", lock: false }))
}

const expected = "hello, then the end; hello, then the end; 6 more subpaths"

const runs = (command: string) => (): string => {
  const output = run(project, command)
  if (output !== expected) throw new Error(`${command}\nprinted: ${output}\nexpected: ${expected}`)
  return output
}

try {
  step("pack", pack)
  writeProject()
  const packages = [
    `./${readdirSync(project).find((name) => name.endsWith(".tgz"))}`,
    ...lowestPeers(),
    "typescript@5.9"
  ]
  step("install", () => {
    run(project, `npm install --no-audit --no-fund --loglevel=error ${packages.join(" ")}`)
    return packages.join(" ")
  })
  step("type-check and compile", () => {
    run(project, "node_modules/.bin/tsc")
    return run(project, "node_modules/.bin/tsc --version")
  })
  step("type-check by Deno", () => run(project, "deno check --quiet main.ts"))
  step("run under Node", runs("node main.js"))
  step("run under Deno, with no permission but the network", runs("deno run --quiet --no-prompt --allow-net main.ts"))
  step("run under Bun", runs("bun --bun run main.ts"))
} catch (error) {
  console.error(`failed  ${error instanceof Error ? error.message : error}`)
  process.exitCode = 1
} finally {
  rmSync(project, { recursive: true, force: true })
}
