/**
 * TCP carries bytes, not messages (T4 2.3): many sends arrive as one receive, one send as many. With its length before
 * each message, the same ones arrive one by one.
 * Both halves run here, on loopback:  npm run -s example -- message-boundaries
 */
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { type Connection, Framed, Framing, Net, type NetError } from "effect-netkit"
import { run } from "../lib/Program.ts"

const short = ["one", "two", "three", "four", "five"]
const long = "x".repeat(1_000_000)

/** Sends on one end, closes it, and gives what the other end receives: after that, or meanwhile with concurrency 2. */
const exchange = <A>(
  send: (sender: Connection.Connection) => Effect.Effect<void, NetError.NetError>,
  receive: (receiver: Connection.Connection) => Stream.Stream<A, NetError.NetError>,
  concurrency: 1 | 2
) =>
  Effect.gen(function* () {
    const listener = yield* Net.listen({ host: "127.0.0.1", port: 0 })
    const sender = yield* Net.connect(listener.address)
    const receiver = yield* listener.accept
    const sending = Effect.zipRight(send(sender), sender.close)
    const [, received] = yield* Effect.all([sending, Stream.runCollect(receive(receiver))], { concurrency })
    return Array.from(received)
  })

const raw = (receiver: Connection.Connection) => receiver.stream.pipe(Stream.decodeText())

run(import.meta.url, {}, () =>
  Effect.gen(function* () {
    // The receiver looks only after everything has been sent.
    const joined = yield* exchange((sender) => Effect.forEach(short, sender.write, { discard: true }), raw, 1)
    yield* Console.log(`raw: ${short.length} sends arrive as ${joined.length} receive: ${joined.join(" | ")}`)

    const cut = yield* exchange((sender) => sender.write(long), raw, 2)
    yield* Console.log(`raw: 1 send of ${long.length} bytes arrives as ${cut.length} receives`)

    const messages = [...short, long]
    const framed = Framed.make(Framing.lengthPrefixed().pipe(Framing.text()))
    const whole = yield* exchange(
      (sender) => Effect.forEach(messages, framed(sender).send, { discard: true }),
      (receiver) => framed(receiver).messages,
      2
    )
    yield* Console.log(`length-prefixed: ${messages.length} sends arrive as ${whole.length} messages:`)
    for (const message of whole) yield* Console.log(`  ${message.length} bytes: ${message.slice(0, 20)}`)
  }))
