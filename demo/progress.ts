/**
 * One line on standard error that says what is going on: rewritten on a terminal, a new line where it changes elsewhere.
 * The empty text removes it.
 */
import process from "node:process"
import * as Effect from "effect/Effect"

let shown = ""

export const progress = (text: string): Effect.Effect<void> =>
  Effect.sync(() => {
    if (text === shown) return
    shown = text
    if (process.stderr.isTTY) process.stderr.write(`\r\x1b[2K${text}`)
    else if (text !== "") process.stderr.write(`${text}\n`)
  })
