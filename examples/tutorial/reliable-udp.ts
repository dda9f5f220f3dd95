/**
 * Messages that arrive over a link that loses datagrams (T0, T1, T3): sequence numbers, acknowledgements,
 * retransmission after a timeout, duplicates dropped; one message at a time (stop-and-wait, as `Udp.request` does it).
 * Both halves run here, on loopback:  npm run -s example -- reliable-udp --loss 0.3 --seed 1
 */
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Random from "effect/Random"
import { type SocketAddress, Udp, type UdpSocket } from "effect-netkit"
import * as Flags from "../lib/Flags.ts"
import { run } from "../lib/Program.ts"

const share: Flags.Parser<number> = (text) =>
  /^(0|0?\.\d{1,9})$/.test(text) && Number(text) <= 0.9 ? Either.right(Number(text)) : Either.left("a share of 0-0.9")

const flags = {
  loss: Flags.withDefault("share", "what part of the datagrams the link loses, both ways", share, 0.3),
  messages: Flags.withDefault("count", "how many messages are sent", Flags.count, 10),
  seed: Flags.optional("number", "makes the losses repeatable", Flags.wholeNumber)
}

/** No acknowledgement in this time: sent again. */
const timeout = "20 millis"

/** A datagram is a sequence number and the text; an acknowledgement is the number and no text. */
const pack = (sequence: number, text = ""): string => `${sequence} ${text}`
const unpack = ({ bytes, from }: UdpSocket.Datagram) => {
  const [sequence, ...text] = new TextDecoder().decode(bytes).split(" ")
  return { sequence: Number(sequence), text: text.join(" "), from }
}

type Send = UdpSocket.UdpSocket["send"]

/** Waits for the acknowledgement of each message before the next one is sent. */
const sendReliably =
  (socket: UdpSocket.UdpSocket, send: Send, to: SocketAddress.InetAddress) => (text: string, sequence: number) => {
    const acknowledgement = Effect.repeat(Effect.map(socket.receive, unpack), {
      until: (datagram) => datagram.sequence === sequence
    })
    return Console.log(`sender: ${sequence} "${text}"`).pipe(
      Effect.zipRight(send(pack(sequence, text), to)),
      Effect.zipRight(acknowledgement),
      Effect.timeout(timeout),
      Effect.tapErrorTag("TimeoutException", () => Console.log(`sender: no acknowledgement of ${sequence}: again`)),
      Effect.retry({ while: (error) => error._tag === "TimeoutException" }),
      Effect.zipRight(Console.log(`sender: ${sequence} is acknowledged`))
    )
  }

/** Takes each message once. What was here before is acknowledged again: the first acknowledgement may be lost. */
const receiveReliably = (socket: UdpSocket.UdpSocket, send: Send, taken: Array<string>) =>
  Effect.gen(function* () {
    const { from, sequence, text } = unpack(yield* socket.receive)
    if (sequence === taken.length) {
      taken.push(text)
      yield* Console.log(`receiver: ${sequence} "${text}"`)
    } else {
      yield* Console.log(`receiver: ${sequence} is a duplicate: dropped`)
    }
    yield* send(pack(sequence), from)
  })

run(import.meta.url, flags, ({ loss, messages: count, seed }) =>
  Effect.gen(function* () {
    const random = seed === undefined ? yield* Effect.random : Random.make(seed)
    /** Loses some of what it is given. */
    const link = ({ send }: UdpSocket.UdpSocket) => {
      const counts = { sent: 0, lost: 0 }
      const lossy: Send = (message, to) =>
        Effect.gen(function* () {
          counts.sent++
          if ((yield* random.next) >= loss) return yield* send(message, to)
          counts.lost++
          yield* Console.log(`link: has lost "${message}"`)
        })
      return { counts, send: lossy }
    }

    const receiver = yield* Udp.bind({ port: 0 })
    const back = link(receiver)
    const taken: Array<string> = []
    yield* Effect.forkScoped(Effect.forever(receiveReliably(receiver, back.send, taken)))

    const messages = Array.from({ length: count }, (_, index) => `message ${index}`)
    const sender = yield* Udp.bind({ port: 0 })
    const forth = link(sender)
    yield* Effect.forEach(messages, sendReliably(sender, forth.send, receiver.address), { discard: true })

    const again = forth.counts.sent - count
    const lost = `${forth.counts.lost} datagrams and ${back.counts.lost} acknowledgements lost`
    const whole = taken.join() === messages.join() ? "all there, in order, each once" : "not what was sent"
    yield* Console.log(`${count} messages: ${lost}, ${again} sent again; ${whole}`)
  }))
