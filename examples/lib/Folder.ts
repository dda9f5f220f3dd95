/**
 * Names that come from another machine, looked up within one folder: what leads out of it is refused, by `..`, as an
 * absolute path or through a link, whether something is there or not.
 */
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"

export class Refused extends Data.TaggedError("Refused")<{ readonly name: string }> {
  override get message(): string {
    return `refused: ${printable(this.name)}`
  }
}

/** A name from elsewhere on this terminal: what would move the cursor or begin a line of its own is spelt out. */
export const printable = (name: string): string =>
  name.replace(/[\0-\x1f\x7f-\x9f\u2028\u2029]/g, (character) => JSON.stringify(character).slice(1, -1))

/** The real path, without links, that a name stands for. */
export const within = (folder: string, name: string) =>
  Effect.gen(function* () {
    const files = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const root = yield* files.realPath(folder)
    const inside = (at: string) => at === root || at.startsWith(root.endsWith(path.sep) ? root : root + path.sep)
    // On a name that leads out and back, and before anything on its way is looked at.
    if (path.isAbsolute(name) || path.normalize(name).split(path.sep)[0] === "..") return yield* new Refused({ name })
    let at = root
    for (const part of name.split(path.sep === "/" ? "/" : /[\\/]/)) {
      at = part === ".." ? path.dirname(at) : yield* follow(path.join(at, part), 40)
      if (!inside(at)) return yield* new Refused({ name })
    }
    return at
  })

/** Where a path really leads: also if nothing is there, as far as there is something. */
const follow = (at: string, links: number): ReturnType<typeof realPath> =>
  Effect.catchTag(realPath(at), "SystemError", (error) => {
    if (error.reason !== "NotFound" || links === 0) return Effect.fail(error)
    return Effect.gen(function* () {
      const files = yield* FileSystem.FileSystem
      const path = yield* Path.Path
      const link = yield* Effect.option(files.readLink(at))
      const folder = path.dirname(at)
      if (Option.isSome(link)) return yield* follow(path.resolve(folder, link.value), links - 1)
      return folder === at ? at : path.join(yield* follow(folder, links), path.basename(at))
    })
  })

const realPath = (at: string) =>
  Effect.flatMap(
    Effect.all([FileSystem.FileSystem, Path.Path]),
    ([files]) => files.realPath(at)
  )
