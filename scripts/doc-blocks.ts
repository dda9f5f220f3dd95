/**
 * The code blocks of the documentation, as things that can be checked.
 * Every `ts` block of the Markdown pages and of the doc comments is a module of its own, and none is exempt.
 * `npm test` type-checks them; see test/docs.test.ts.
 */
import { spawnSync } from "node:child_process"
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"

/** Where the modules are written: inside the repository, so that they find its packages. Ignored by git. */
const folder = ".docs"

/** A fenced block. `line` is that of its first line of code, from 1. */
export interface Block {
  readonly file: string
  readonly line: number
  readonly code: string
}

/** The Markdown pages of the repository. */
export const markdownPages = (): ReadonlyArray<string> => [
  ...readdirSync(".").filter((name) => name.endsWith(".md")),
  ...filesIn("docs", ".md"),
  ...filesIn("examples", ".md")
]

/** All `ts` blocks, those of Markdown pages first. */
export const tsBlocks = (): ReadonlyArray<Block> => [
  ...markdownPages().flatMap((file) => fencedBlocks(file, readFileSync(file, "utf8"))),
  ...sourceFiles().flatMap((file) => fencedBlocks(file, onlyDocComments(readFileSync(file, "utf8"))))
]

const sourceFiles = (): ReadonlyArray<string> =>
  ["src", "adapters", "test/conformance"].flatMap((folder) => filesIn(folder, ".ts"))

const filesIn = (root: string, extension: string): ReadonlyArray<string> =>
  existsSync(root)
    ? readdirSync(root, { recursive: true, encoding: "utf8" })
      .filter((name) => name.endsWith(extension))
      .map((name) => join(root, name))
      .sort()
    : []

/** Places of `@example` tags that no `ts` block follows, so that nothing would check them. */
export const uncheckedExamples = (): ReadonlyArray<string> =>
  sourceFiles().flatMap((file) => {
    const lines = readFileSync(file, "utf8").split("\n")
    return lines.flatMap((line, index) =>
      /^\s*\* @example/.test(line) && !/^\s*\* ```ts/.test(lines[index + 1] ?? "") ? [`${file}:${index + 1}`] : []
    )
  })

/** Blanks out the code between doc comments and the stars before their lines, so that lines and columns stay. */
const onlyDocComments = (source: string): string => {
  let inside = false
  return source.split("\n").map((text) => {
    const opens = /^\s*\/\*\*/.test(text)
    const comment = inside || opens ? text.replace(/^\s*(\/\*\*|\*(?!\/)) ?/, (stars) => " ".repeat(stars.length)) : ""
    inside = (inside || opens) && !text.includes("*/")
    return comment
  }).join("\n")
}

const fencedBlocks = (file: string, text: string): ReadonlyArray<Block> => {
  const blocks: Array<Block> = []
  const lines = text.split("\n")
  for (let start = 0; start < lines.length; start++) {
    if (!/^\s*```(ts|typescript)\b/.test(lines[start]!)) continue
    const length = lines.slice(start + 1).findIndex((line) => /^\s*```\s*$/.test(line))
    if (length < 0) throw new Error(`${file}:${start + 1}: this block has no end`)
    blocks.push({ file, line: start + 2, code: lines.slice(start + 1, start + 1 + length).join("\n") })
    start += length + 1
  }
  return blocks
}

/** Type-checks all blocks against the sources, in one run. Returns the complaints, placed in the documents. */
export const typeCheck = (blocks: ReadonlyArray<Block>): ReadonlyArray<string> => {
  rmSync(folder, { recursive: true, force: true })
  const files = blocks.map((block) => {
    const name = `${block.file}.${block.line}.ts`
    mkdirSync(dirname(join(folder, name)), { recursive: true })
    // Empty lines in front keep the line numbers; the export makes a module of a block without imports.
    writeFileSync(join(folder, name), `${"\n".repeat(block.line - 1)}${block.code}\nexport {}\n`)
    return name
  })
  const compilerOptions = { noUnusedLocals: false, noUnusedParameters: false }
  writeFileSync(
    join(folder, "tsconfig.json"),
    JSON.stringify({ extends: "../tsconfig.json", compilerOptions, files, include: [] })
  )
  const { stdout, stderr, status } = spawnSync("node_modules/.bin/tsc", ["-p", folder, "--pretty", "false"], {
    encoding: "utf8"
  })
  const complaints = (stdout + stderr).trim().replace(/^\.docs\/(.+)\.\d+\.ts\((\d+),(\d+)\)/gm, "$1:$2:$3")
  return status === 0 ? [] : complaints.split(/\n(?=\S)/)
}
