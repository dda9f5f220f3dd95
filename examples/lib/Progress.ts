/**
 * How far a transfer is, on one line of a terminal that is drawn again and again; nothing where there is no terminal.
 * With the size known beforehand a bar fills; without it a mark runs to and fro while bytes come.
 */
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"

const width = 30

/** Draws what `done` counts, out of `total` bytes, while the transfer runs, and once more at its end. */
export const showProgress =
  (done: Effect.Effect<number>, total?: number) =>
  <A, E, R>(transfer: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> => {
    if (!process.stderr.isTTY) return transfer
    const started = performance.now()
    const draw = Effect.map(done, (bytes) => {
      const seconds = (performance.now() - started) / 1000
      const share = total === undefined ? "" : ` of ${megabytes(total)}`
      process.stderr.write(
        `\r\x1b[K[${bar(bytes, total, seconds)}] ${megabytes(bytes)}${share} MB, ${megabytes(bytes / seconds)} MB/s`
      )
    })
    return Effect.scoped(Effect.gen(function* () {
      yield* Effect.addFinalizer(() => Effect.map(draw, () => void process.stderr.write("\n")))
      yield* Effect.forkScoped(Effect.repeat(draw, Schedule.spaced("100 millis")))
      return yield* transfer
    }))
  }

const megabytes = (bytes: number): string => (bytes / 1e6).toFixed(1)

const bar = (bytes: number, total: number | undefined, seconds: number): string => {
  if (total !== undefined) {
    return "#".repeat(total === 0 ? width : Math.min(1, bytes / total) * width).padEnd(width, ".")
  }
  const turn = Math.floor(seconds * 10) % (2 * width)
  const at = turn < width ? turn : 2 * width - 1 - turn
  return `${".".repeat(at)}#${".".repeat(width - 1 - at)}`
}
