/**
 * Messages that answer no request, for whoever takes them. While nobody does, so many are kept and the rest is dropped with a warning,
 * so that a peer's notices which nobody wants hold up no answers; while somebody does, a slow taker slows the peer.
 */
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Mailbox from "effect/Mailbox"
import * as Stream from "effect/Stream"

/** Messages. */
const capacity = 1024

export class Inbox<A, E> {
  readonly stream: Stream.Stream<A, E>
  readonly #mailbox: Mailbox.Mailbox<A, E>
  #takers = 0
  #onAbandoned: (() => void) | undefined
  #warned = false

  static make<A, E>(): Effect.Effect<Inbox<A, E>> {
    return Effect.map(Mailbox.make<A, E>({ capacity, strategy: "suspend" }), (mailbox) => new Inbox(mailbox))
  }

  private constructor(mailbox: Mailbox.Mailbox<A, E>) {
    this.#mailbox = mailbox
    const taker = Effect.acquireRelease(
      Effect.sync(() => this.#takers++),
      () => Effect.sync(() => --this.#takers === 0 && this.#onAbandoned?.())
    )
    this.stream = Stream.unwrapScoped(Effect.as(taker, Mailbox.toStream(mailbox)))
  }

  offer(messages: ReadonlyArray<A>): Effect.Effect<void> {
    const left = this.#mailbox.unsafeOfferAll(messages)
    if (Chunk.isEmpty(left)) return Effect.void
    if (this.#takers === 0) return this.#drop
    return Effect.raceFirst(Effect.asVoid(this.#mailbox.offerAll(left)), Effect.zipRight(this.#abandoned, this.#drop))
  }

  /** Completes when the last taker has gone. */
  readonly #abandoned: Effect.Effect<void> = Effect.async((resume) => {
    if (this.#takers === 0) resume(Effect.void)
    else this.#onAbandoned = () => resume(Effect.void)
  })

  readonly #drop: Effect.Effect<void> = Effect.suspend(() => {
    if (this.#warned) return Effect.void
    this.#warned = true
    return Effect.logWarning(
      `nobody takes the messages that answer no request: those after the first ${capacity} are dropped`
    )
  })

  /** No more will come; what waits can still be taken. */
  end(exit: Exit.Exit<void, E>): Effect.Effect<void> {
    return this.#mailbox.done(exit)
  }
}
