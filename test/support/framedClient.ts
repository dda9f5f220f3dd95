/**
 * What tests of `FramedClient` share: a peer that comes and goes, a client of it, and its states as words.
 */
import { it } from "@effect/vitest"
import { DateTime, Duration, Effect, Exit, Scope, Stream, TestClock } from "effect"
import { type Connection, Framed, FramedClient, Framing, Net, Network, type SocketAddress } from "effect-netkit"
import { MemoryNetwork } from "effect-netkit/memory"

export const lines = Framing.lines({ maxFrameLength: 64 }).pipe(Framing.text())
export const address = "127.0.0.1:7788"

export const onMemory = <A, E>(name: string, effect: () => Effect.Effect<A, E, Scope.Scope | Network.Network>) =>
  it.scoped(name, () => Effect.provide(effect(), MemoryNetwork.layer))

/** Lets the network deliver what it has under way, before virtual time goes on. */
export const turn = Effect.promise(() => new Promise((resolve) => setTimeout(resolve)))
export const after = (time: Duration.DurationInput) => Effect.zipRight(TestClock.adjust(time), turn)

/** A peer that comes and goes: every line that came, and the verbs to answer, to break and to vanish. */
export class Peer {
  readonly received: Array<string> = []
  readonly sessions: Array<Framed.Framed<string>> = []
  #scope: Scope.CloseableScope | undefined
  readonly #where: SocketAddress.AddressInput
  readonly #answer: (line: string) => string | undefined

  constructor(answer: (line: string) => string | undefined = (line) => `re ${line}`, where = address) {
    this.#answer = answer
    this.#where = where
  }

  readonly up = Effect.gen(this, function* () {
    const scope = this.#scope = yield* Scope.make()
    const listener = yield* Scope.extend(Net.listen(this.#where), scope)
    const serve = (connection: Connection.Connection) => {
      const session = Framed.make(connection, lines)
      this.sessions.push(session)
      return Stream.runForEach(session.messages, (line) => {
        this.received.push(line)
        const answer = this.#answer(line)
        return answer === undefined ? Effect.void : session.send(answer)
      }).pipe(Effect.ignore)
    }
    yield* Stream.runForEach(listener.connections, (connection) => Effect.fork(serve(connection))).pipe(
      Effect.forkIn(scope)
    )
  })

  /** Cuts the last connection off. */
  readonly cut = Effect.suspend(() => Effect.zipRight(Effect.ignore(this.sessions.at(-1)!.connection.reset), turn))

  /** Cuts everything off and listens no more. */
  readonly down = Effect.suspend(() =>
    Effect.forEach(this.sessions, ({ connection }) => Effect.ignore(connection.reset)).pipe(
      Effect.zipRight(Scope.close(this.#scope!, Exit.void)),
      Effect.zipRight(turn)
    )
  )
}

export type Settings = Partial<FramedClient.Options<string, string, unknown>>

export const steady = { jitter: "none" } as const

export const client = (settings: Settings = {}) =>
  FramedClient.make({ connect: address, codec: lines, retry: steady, ...settings })

/** The states from now on, as words. */
export const follow = <E>(client: FramedClient.FramedClient<string, string, E>) =>
  Effect.gen(function* () {
    const seen: Array<string> = []
    const fiber = yield* Effect.forkScoped(
      Stream.runForEach(client.state.changes, (state) => Effect.sync(() => void seen.push(word(state))))
    )
    yield* turn
    return { seen, fiber }
  })

export const word = (state: FramedClient.State<unknown>): string => {
  const cause = "cause" in state && state.cause !== undefined ? ` ${(state.cause as { _tag: string })._tag}` : ""
  if (state._tag === "Connecting") return `Connecting ${state.attempt}`
  if (state._tag === "Connected") return `Connected ${state.address}`
  return state._tag === "Closed" ? `Closed${cause}` : `Waiting ${DateTime.toEpochMillis(state.until)}${cause}`
}
