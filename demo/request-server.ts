/**
 * A server for requests in frames: `sum 1 2 3` adds, `bytes N` answers with N bytes and their SHA-256, `status` tells how it is.
 * The N bytes are made as they are sent: a write waits while the client is slow, and so nothing piles up here.
 */
import { createHash, randomBytes } from "node:crypto"
import process from "node:process"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { type Connection, Server } from "effect-netkit"
import { runServer } from "./program.ts"
import { header, receive, send, type Status } from "./protocol.ts"

const requests = Server.make({
  listen: { host: "127.0.0.1", port: 0 },
  handler: (connection) =>
    Effect.gen(function* () {
      for (let text = yield* receive(connection); Option.isSome(text); text = yield* receive(connection)) {
        yield* answer(connection, text.value)
      }
    })
})

const answer = (connection: Connection.Connection, request: string) => {
  const [verb, ...numbers] = request.split(" ")
  switch (verb) {
    case "sum":
      return send(connection, String(numbers.reduce((sum, number) => sum + Number(number), 0)))
    case "bytes":
      return sendBytes(connection, Number(numbers[0]))
    case "status":
      return send(connection, JSON.stringify(status()))
    default:
      return send(connection, `what is "${verb}"?`)
  }
}

let accepted = 0

const status = (): Status => ({ memory: process.memoryUsage().rss, accepted })

const sendBytes = (connection: Connection.Connection, length: number) =>
  Effect.gen(function* () {
    const hash = createHash("sha256")
    yield* connection.write(header(length))
    for (let sent = 0; sent < length; accepted = sent) {
      const block = randomBytes(Math.min(65536, length - sent))
      hash.update(block)
      yield* connection.write(block)
      sent += block.length
    }
    yield* send(connection, hash.digest("hex"))
  })

runServer(requests)
