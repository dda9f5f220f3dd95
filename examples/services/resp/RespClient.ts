/**
 * A client of a RESP server on one connection. Commands may be made at the same time: they leave in the order of the
 * calls, pipelined, and each gets its own reply.
 */
import * as Effect from "effect/Effect"
import { Framed, type Net, type SocketAddress } from "effect-netkit"
import * as Resp from "./Resp.ts"

type Word = string | number | Uint8Array

export const make = ({ request }: Framed.Framed<Resp.Reply, Resp.Words>) => {
  /** The reply to one command; an error reply is a failure. */
  const command = (...words: ReadonlyArray<Word>) =>
    Effect.flatMap(
      request(words.map((word) => typeof word === "number" ? String(word) : word)),
      (reply) => reply instanceof Resp.RespError ? Effect.fail(reply) : Effect.succeed(reply)
    )

  /** The replies to many commands, sent without waiting in between. */
  const pipeline = (commands: ReadonlyArray<ReadonlyArray<Word>>) =>
    Effect.forEach(commands, (words) => command(...words), { concurrency: "unbounded" })

  return { command, pipeline }
}

export type RespClient = ReturnType<typeof make>

/** A client that lives in the Scope. */
export const connect = (address: SocketAddress.AddressInput, options?: Net.ConnectOptions) =>
  Effect.map(Framed.connect(address, Resp.client, options), make)
