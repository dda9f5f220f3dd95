/**
 * The suite really runs inside the runtime that was asked for.
 * `bun vitest` without `--bun` runs Node in silence: a green run that proves nothing about Bun.
 */
import { expect, it } from "vitest"

const runtime = "Deno" in globalThis ? "deno" : "Bun" in globalThis ? "bun" : "node"
const major = process.versions.node.split(".")[0]

const expected = process.env["EXPECT_RUNTIME"]

it.skipIf(expected === undefined)(`runs under ${expected ?? "any runtime"}`, () => {
  expect([runtime, runtime + major]).toContain(expected)
})
