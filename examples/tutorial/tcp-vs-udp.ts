/**
 * The same messages both ways (T0, T1, T3, T4): what TCP and UDP make of connection, order, boundaries, an absent peer.
 * All of it runs here, on loopback:  npm run -s example -- tcp-vs-udp
 * With more messages:                npm run -s example -- tcp-vs-udp --messages 50
 */
import * as Chunk from "effect/Chunk"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Stream from "effect/Stream"
import { Net, Udp } from "effect-netkit"
import * as Flags from "../lib/Flags.ts"
import { run } from "../lib/Program.ts"
import { table } from "../lib/Table.ts"

const flags = { messages: Flags.withDefault("count", "how many messages are sent", Flags.count, 5) }

const large = new Uint8Array(100_000)

const texts = Stream.map((bytes: Uint8Array) => new TextDecoder().decode(bytes))

const inOrder = (messages: ReadonlyArray<string>, arrived: string): string =>
  messages.join("") === arrived ? "yes" : "no"

/** What came of the messages, of a large one, and of a message to a port where nobody is: a column of the table. */
const overTcp = (messages: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const listener = yield* Net.listen({ port: 0 })
    const sender = yield* Net.connect(listener.address)
    const receiver = yield* listener.accept
    const before = `the server has accepted ${receiver.remoteAddress}`

    yield* Effect.forEach(messages, sender.write, { discard: true })
    yield* sender.shutdown
    const arrived = [...yield* Stream.runCollect(texts(receiver.stream))]

    const sending = Effect.zipRight(receiver.write(large), receiver.close)
    const [, pieces] = yield* Effect.all([sending, Stream.runCollect(sender.stream)], { concurrency: 2 })

    const { address } = yield* Effect.scoped(Net.listen({ port: 0 }))
    const error = yield* Effect.flip(Net.connect(address))
    return [
      before,
      `${arrived.length}`,
      inOrder(messages, arrived.join("")),
      `${Chunk.reduce(pieces, 0, (sum, { length }) => sum + length)} arrive`,
      `${error._tag}, before anything is sent`
    ]
  })

const overUdp = (messages: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const receiver = yield* Udp.bind({ port: 0 })
    const sender = yield* Udp.connect(receiver.address)
    const { received } = yield* receiver.stats
    const before = `${received} datagrams have come: the server knows of nobody`

    yield* Effect.forEach(messages, (message) => sender.send(message), { discard: true })
    const datagrams = receiver.datagrams.pipe(Stream.take(messages.length), Stream.interruptAfter("1 second"))
    const arrived = [...yield* Stream.runCollect(texts(Stream.map(datagrams, ({ bytes }) => bytes)))]
    const tooLarge = yield* Effect.flip(sender.send(large))

    const { address } = yield* Effect.scoped(Udp.bind({ port: 0 }))
    const toNobody = yield* Udp.connect(address)
    yield* toNobody.send("anybody there?")
    const outcome = yield* Effect.either(Effect.timeout(toNobody.receive, "500 millis"))
    return [
      before,
      `${arrived.length}`,
      inOrder(messages, arrived.join("")),
      `${tooLarge._tag}, nothing is sent`,
      `sent; then ${
        Either.isLeft(outcome) && outcome.left._tag === "ConnectionRefused" ? "ConnectionRefused" : "silence"
      }`
    ]
  })

run(import.meta.url, flags, ({ messages: count }) =>
  Effect.gen(function* () {
    const messages = Array.from({ length: count }, (_, index) => `message ${index + 1}. `)
    const tcp = yield* Effect.scoped(overTcp(messages))
    const udp = yield* Effect.scoped(overUdp(messages))
    const questions = [
      "before the first message",
      `receives for ${count} sends`,
      "all there, in order",
      `${large.length} bytes in one send`,
      "a peer that is not there"
    ]
    const rows = questions.map((question, row) => [question, tcp[row]!, udp[row]!])
    yield* Console.log(table([["", "TCP", "UDP"], ...rows]))
  }))
