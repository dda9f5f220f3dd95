/**
 * The conformance suite under vitest: a test of each property, over the adapter of the runtime that this runs in and over the one in
 * memory. What a transport lacks is skipped with the name of the capability.
 */
import * as Effect from "effect/Effect"
import { describe, expect, it } from "vitest"
import { check, provideOptions } from "./conformance/index.ts"
import { runs } from "./support/conformance.ts"

// The properties have guards of their own, which say more than a test that timed out.
const timeout = 90_000

describe.each(runs)("$name", ({ layer, options, properties }) => {
  it.for(properties)("$group: $name", { timeout }, async (property, { skip }) => {
    const { detail, status } = await Effect.runPromise(provideOptions(check(property), options).pipe(Effect.provide(layer)))
    if (status === "unsupported") skip(`unsupported: ${detail}`)
    expect(status === "fail" ? detail : undefined).toBeUndefined()
  })
})

it("properties have different names", () => {
  const { properties } = runs[0]!
  expect(new Set(properties.map(({ group, name }) => `${group}: ${name}`)).size).toBe(properties.length)
})
