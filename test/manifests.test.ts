/**
 * package.json (npm) and deno.json (JSR, and Deno in this repository) say the same.
 * Runs once, under Node.
 */
import { existsSync, readFileSync } from "node:fs"
import { expect, it } from "vitest"
import bundles from "../tsup.config.ts"

const read = (path: string) => JSON.parse(readFileSync(path, "utf8"))
const npm = read("package.json")
const deno = read("deno.json")

/** `module` is for bundlers, `default` for runtimes. */
type Target = Record<"types" | "module" | "default", string>

/** `./src/index.ts` for `./dist/src/index.js`. */
const sourceOf = ({ module }: Target) => module.replace("./dist/", "./").replace(/\.js$/, ".ts")

const { "./package.json": _, ...subpaths } = npm.exports as Record<string, Target>
const sources = Object.fromEntries(
  Object.entries(subpaths).map(([subpath, target]) => [subpath, sourceOf(target!)])
)

it("have the same name, version and licence", () => {
  expect(deno.name.split("/")[1]).toBe(npm.name)
  expect([deno.version, deno.license]).toEqual([npm.version, npm.license])
})

it("export the same subpaths, from sources that exist", () => {
  expect(deno.exports).toEqual(sources)
  expect(Object.values(deno.exports as Record<string, string>).filter((path) => !existsSync(path))).toEqual([])
})

it("give runtimes what bundlers and compilers get, in fewer files", () => {
  const [, { entry }] = bundles as unknown as ReadonlyArray<{ readonly entry: Record<string, string> }>
  const bundled = Object.entries(subpaths).map(([subpath, { default: file, types }]) => {
    expect(sourceOf({ module: types.replace(/\.d\.ts$/, ".js") } as Target)).toBe(sources[subpath])
    return [file.replace(/^\.\/dist\/bundle\/(.*)\.js$/, "$1"), sources[subpath]!.slice(2)]
  })
  expect(Object.fromEntries(bundled)).toEqual(entry)
})

it("resolve the package's own name to its sources, for Deno as for TypeScript", () => {
  const own = Object.fromEntries(
    Object.entries(sources).map(([subpath, source]) => [npm.name + subpath.slice(1), source])
  )
  expect(deno.imports).toMatchObject(own)
  const { paths } = read("tsconfig.json").compilerOptions
  expect(paths).toEqual(Object.fromEntries(Object.entries(own).map(([name, source]) => [name, [source]])))
})

it("depend on the same packages", () => {
  const dependencies = { ...npm.dependencies, ...npm.peerDependencies }
  const imports = Object.entries(dependencies).map(([name, range]) => [name, `npm:${name}@${range}`])
  expect(deno.imports).toMatchObject(Object.fromEntries(imports))
})
