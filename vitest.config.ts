/**
 * One suite for three runtimes: the same files run under Node, Deno and Bun, by `scripts/test.ts`.
 * Tests import `effect-netkit/*` as a user does and get the sources; no build is needed.
 * Each file runs in a process of its own (`forks`: the only pool that works on all three runtimes).
 */
import { fileURLToPath } from "node:url"
import { configDefaults, defineConfig } from "vitest/config"

/** Tests that look at the repository, or start the runtimes themselves: once, under Node, is enough. */
const once = [
  "test/docs.test.ts",
  "test/manifests.test.ts",
  "test/supportTable.test.ts",
  "test/examples/**",
  "test/services/*-server.test.ts"
]

const onNode = !("Deno" in globalThis) && !("Bun" in globalThis)

const source = (name: string, path: string) => ({
  find: new RegExp(`^effect-netkit${name}$`),
  replacement: fileURLToPath(new URL(path, import.meta.url))
})

export default defineConfig({
  resolve: {
    alias: [
      source("", "./src/index.ts"),
      source("/(Framing\\w+)", "./src/$1.ts"),
      source("/testing", "./test/conformance/index.ts"),
      source("/(node|deno|bun|memory|runtime)", "./adapters/$1/index.ts")
    ]
  },
  test: {
    include: ["test/**/*.test.ts"],
    exclude: [...configDefaults.exclude, ...(onNode ? [] : once)],
    pool: "forks",
    minWorkers: 1,
    maxWorkers: 2,
    testTimeout: 20_000,
    hookTimeout: 20_000
  }
})
