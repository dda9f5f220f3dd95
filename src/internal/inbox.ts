/**
 * Messages that answer no request, for whoever takes them. Until somebody does, so many are kept and the rest is dropped with a
 * warning, so that a peer's notices which nobody wants hold up no answers; from then on a slow taker slows the peer.
 */
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Mailbox from "effect/Mailbox"
import * as Stream from "effect/Stream"

/** Messages. */
const capacity = 1024

export class Inbox<A, E> {
  readonly stream: Stream.Stream<A, E>
  readonly #mailbox: Mailbox.Mailbox<A, E>
  #wanted = false
  #warned = false

  static make<A, E>(): Effect.Effect<Inbox<A, E>> {
    return Effect.map(Mailbox.make<A, E>({ capacity, strategy: "suspend" }), (mailbox) => new Inbox(mailbox))
  }

  private constructor(mailbox: Mailbox.Mailbox<A, E>) {
    this.#mailbox = mailbox
    this.stream = Stream.suspend(() => {
      this.#wanted = true
      return Mailbox.toStream(mailbox)
    })
  }

  offer(messages: ReadonlyArray<A>): Effect.Effect<void> {
    if (this.#wanted) return this.#mailbox.offerAll(messages)
    const dropped = this.#mailbox.unsafeOfferAll(messages)
    if (dropped.length === 0 || this.#warned) return Effect.void
    this.#warned = true
    return Effect.logWarning(
      `nobody takes the messages that answer no request: those after the first ${capacity} are dropped`
    )
  }

  /** No more will come; what waits can still be taken. */
  end(exit: Exit.Exit<void, E>): Effect.Effect<void> {
    return this.#mailbox.done(exit)
  }
}
