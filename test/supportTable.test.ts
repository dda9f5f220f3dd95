/**
 * The support table of the README is what the adapters report. `npm run support-table` renews it.
 * Runs once, under Node, and starts the other runtimes itself.
 */
import { readFileSync } from "node:fs"
import { expect, it } from "vitest"
import { supportTable, withTable } from "../scripts/support-table.ts"

it("the README's support table is up to date", () => {
  const page = readFileSync("README.md", "utf8")
  expect(withTable(page, supportTable())).toBe(page)
})
