/**
 * What the documentation shows is true: its code type-checks, its commands and the files it links to exist.
 * Runs once, under Node.
 */
import { existsSync, readFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { describe, expect, it } from "vitest"
import { markdownPages, tsBlocks, typeCheck, uncheckedExamples } from "../scripts/doc-blocks.ts"

const scripts = Object.keys(JSON.parse(readFileSync("package.json", "utf8")).scripts)

describe("documentation", () => {
  it("its TypeScript blocks type-check", () => {
    const blocks = tsBlocks()
    expect(blocks.length).toBeGreaterThan(0)
    expect(typeCheck(blocks)).toEqual([])
  })

  it("every @example is a ts block", () => {
    expect(uncheckedExamples()).toEqual([])
  })

  it.each(markdownPages())("%s names npm scripts that exist", (page) => {
    const text = readFileSync(page, "utf8")
    const named = [...text.matchAll(/\bnpm run (?:-\S+ )*([\w:-]+)/g)].map((match) => match[1]!)
    expect(named.filter((script) => !scripts.includes(script))).toEqual([])
  })

  it.each(markdownPages())("%s links to files that exist", (page) => {
    const targets = [...readFileSync(page, "utf8").matchAll(/\]\(([^)#\s]+)/g)].map((match) => match[1]!)
    const local = targets.filter((target) => !/^[a-z]+:/.test(target))
    expect(local.filter((target) => !existsSync(join(dirname(page), target)))).toEqual([])
  })
})
