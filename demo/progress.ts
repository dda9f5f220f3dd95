/**
 * One line on standard error that says what is going on: rewritten on a terminal, a line each time elsewhere. The empty text removes it.
 */
import process from "node:process"
import * as Effect from "effect/Effect"

export const progress = (text: string): Effect.Effect<void> =>
  Effect.sync(() => {
    if (process.stderr.isTTY) process.stderr.write(`\r\x1b[2K${text}`)
    else if (text !== "") process.stderr.write(`${text}\n`)
  })
