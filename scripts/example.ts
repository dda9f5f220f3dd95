/**
 * Runs an example by name: `npm run -s example -- <name> [flags]`.
 * The program sees the arguments that it would see if its file were run directly. The npm script starts with `exec`:
 * npm passes signals to its own child only, and a shell in between would die of them and leave the program behind.
 */
import { existsSync, readdirSync } from "node:fs"
import { fileURLToPath } from "node:url"

const folders = ["tutorial", "services"].map((name) => new URL(`../examples/${name}/`, import.meta.url))
const name = process.argv[2] ?? ""
const file = /^[\w-]+$/.test(name)
  ? folders.map((folder) => new URL(`${name}.ts`, folder)).find((file) => existsSync(file))
  : undefined

if (file !== undefined) {
  process.argv.splice(1, 2, fileURLToPath(file))
  await import(file.href)
} else {
  const programs = folders.flatMap((folder) => readdirSync(folder)).filter((entry) => entry.endsWith(".ts"))
  const names = programs.map((entry) => `  ${entry.slice(0, -3)}`)
  const known = ["usage: npm run -s example -- <name> [flags]", "", "programs:", ...names.sort()].join("\n")
  if (name === "--help" || name === "-h") console.log(known)
  else {
    console.error(name === "" ? known : `${name}: no such program\n${known}`)
    process.exitCode = 2
  }
}
