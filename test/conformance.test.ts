/**
 * The conformance suite under vitest: a test of each property, over the adapter of the runtime that this runs in and
 * over the one in memory. What a transport lacks is skipped with the name of the capability.
 */
import { readFileSync } from "node:fs"
import * as Effect from "effect/Effect"
import { describe, expect, it } from "vitest"
import { check, properties, provideOptions } from "./conformance/index.ts"
import { runs } from "./support/conformance.ts"

// The properties have guards of their own, which say more than a test that timed out.
const timeout = 90_000

describe.each(runs)("$name", ({ layer, options, properties }) => {
  it.for(properties)("$group: $name", { timeout }, async (property, { skip }) => {
    const { detail, status } = await Effect.runPromise(
      provideOptions(check(property), options).pipe(Effect.provide(layer))
    )
    if (status === "unsupported") skip(`unsupported: ${detail}`)
    expect(status === "fail" ? detail : undefined).toBeUndefined()
  })
})

describe("the properties", () => {
  it("have different names", () => {
    expect(new Set(properties.map(({ group, name }) => `${group}: ${name}`)).size).toBe(properties.length)
  })

  it("are those of docs/conformance.md: `npm run conformance` renews it", () => {
    const page = readFileSync("docs/conformance.md", "utf8")
    expect(page.match(/^\| (?!Property|---)/gm)?.length).toBe(properties.length)
    expect(properties.filter(({ name, source }) => !page.includes(`| ${name} | ${source} |`))).toEqual([])
  })
})
