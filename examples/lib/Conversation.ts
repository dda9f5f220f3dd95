/**
 * A client's conversation: what comes is printed as it comes, also while the user is being asked for more.
 * It ends with the user, or with the peer: `peer closed the connection`, at once, though standard input is open.
 */
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { Messages } from "./Text.ts"

/** Receives and prints while `typing` goes on. `printed` runs after every text. */
export const talk = <E, R>(
  { incoming }: Messages,
  typing: Effect.Effect<unknown, E, R>,
  printed: Effect.Effect<void> = Effect.void
) =>
  Effect.raceFirst(
    typing,
    Effect.zipRight(
      Stream.runForEach(incoming, (text) => Effect.zipRight(Console.log(text), printed)),
      Console.log("peer closed the connection")
    )
  )

/** Message and answer in turns: `typing` is given what sends a text and waits until one has come and is printed. */
export const takeTurns = <E, R>(
  peer: Messages,
  typing: (say: Messages["send"]) => Effect.Effect<unknown, E, R>
) =>
  Effect.gen(function* () {
    const answered = yield* Effect.makeLatch()
    const say = (text: string) => Effect.all([answered.close, peer.send(text), answered.await], { discard: true })
    yield* talk(peer, typing(say), Effect.asVoid(answered.open))
  })
