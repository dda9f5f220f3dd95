/**
 * Traps of the three runtimes' sockets at the end of a connection, that only a raw foreign peer springs: it resets
 * before it is accepted, or with bytes unread, or closes while we write. The peers are Python; the file runs under
 * Node, Deno and Bun.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { describe, expect } from "vitest"
import * as Net from "../src/Net.ts"
import { drain, echo, pattern, readAll, text, writeIn } from "./conformance/support.ts"
import { accepted, connected, gone, portOf, serve, sha256, tagOf, trap, writesFail } from "./support/peers.ts"
import { python, pythonMeanwhile } from "./support/python.ts"

describe("resets", () => {
  trap(
    "twenty clients that reset before they are accepted: the next one is served",
    Effect.gen(function* () {
      const port = yield* serve(echo)
      // The event loop stands still meanwhile, so nothing is accepted.
      pythonMeanwhile("for _ in range(20): reset(connect())", port)
      const good = yield* python(
        `sock = connect(); sock.sendall(b"hello"); sock.shutdown(socket.SHUT_WR); say(receive(sock))`,
        port
      )
      expect((yield* good.ended).trim()).toBe("b'hello'")
    })
  )

  trap(
    "twenty clients that reset before they are accepted: accept goes on",
    Effect.gen(function* () {
      const listener = yield* Net.listen({ port: 0 })
      pythonMeanwhile("for _ in range(20): reset(connect())", portOf(listener))
      const peer = yield* python(`sock = connect(); sock.sendall(b"good"); wait()`, portOf(listener))
      const one = Effect.scoped(Effect.flatMap(listener.accept, (connection) =>
        Effect.map(
          Effect.option(connection.readExactly(4)),
          (bytes) => bytes._tag === "Some" ? text(bytes.value) : ""
        )))
      yield* Effect.repeat(one, { until: (said) => said === "good" })
      yield* peer.go
      yield* peer.ended
    })
  )

  for (const size of [0, 3, 200_000]) {
    trap(
      `a reset with ${size} bytes unread is no end of stream`,
      Effect.gen(function* () {
        for (let round = 0; round < 5; round++) {
          const { connection, peer } = yield* accepted(`sock.sendall(bytes(${size})); say("sent"); wait(); reset(sock)`)
          yield* peer.line
          const reading = yield* Effect.fork(tagOf(drain(connection)))
          yield* peer.go
          expect(yield* Fiber.join(reading)).toBe("ConnectionReset")
          expect(yield* tagOf(connection.read)).toBe("ConnectionReset")
          expect(gone).toContain(yield* writesFail(connection))
        }
      })
    )

    trap(
      `a reset with ${size} bytes unread, seen only later, is no end of stream`,
      Effect.gen(function* () {
        for (let round = 0; round < 5; round++) {
          const { connection, peer } = yield* accepted(`sock.sendall(bytes(${size})); wait(); reset(sock)`)
          yield* peer.go
          yield* peer.ended
          expect(yield* tagOf(drain(connection))).toBe("ConnectionReset")
        }
      })
    )
  }

  trap(
    "a reset while nobody reads fails the writes",
    Effect.gen(function* () {
      const { connection, peer } = yield* accepted("wait(); reset(sock)")
      yield* peer.go
      yield* peer.ended
      expect(gone).toContain(yield* writesFail(connection))
      expect(["ConnectionReset", "success"]).toContain(yield* tagOf(drain(connection)))
    })
  )

  trap(
    "a server that resets at once is a reset, not an end",
    Effect.gen(function* () {
      // Already the connect may see it, or only the read.
      const reading = Effect.flatMap(connected("reset(sock)"), ({ connection }) => drain(connection))
      expect(yield* tagOf(reading)).toBe("ConnectionReset")
    })
  )

  trap(
    "a reset of ours is a reset to the peer",
    Effect.gen(function* () {
      const { connection, peer } = yield* accepted(
        `
try: say(receive(sock))
except ConnectionResetError: say("reset")`,
        { resettable: true }
      )
      yield* connection.write("lost")
      yield* connection.reset
      expect((yield* peer.ended).trim()).toBe("reset")
    })
  )
})

describe("ends of stream", () => {
  trap(
    "what came before a FIN is all there, though nobody read meanwhile",
    Effect.gen(function* () {
      const { connection, peer } = yield* accepted(`sock.sendall(bytes(range(256)) * 4000); sock.close()`)
      yield* peer.ended
      const bytes = yield* readAll(connection)
      expect(bytes.length).toBe(1_024_000)
      expect(bytes.every((byte, i) => byte === i % 256)).toBe(true)
      expect(yield* tagOf(connection.read)).toBe("success")
    })
  )

  trap(
    "a half-closed client gets megabytes whole",
    Effect.gen(function* () {
      const reply = pattern(8 << 20)
      const port = yield* serve((connection) => Effect.zipRight(drain(connection), writeIn(connection, reply, 100_000)))
      const peer = yield* python(
        `
sock = connect(); sock.sendall(b"request"); sock.shutdown(socket.SHUT_WR)
time.sleep(0.05)
say(hashlib.sha256(receive(sock)).hexdigest())`,
        port
      )
      expect((yield* peer.ended).trim()).toBe(sha256(reply))
    })
  )

  trap(
    "a half-closed server still hears us",
    Effect.gen(function* () {
      const { connection, peer } = yield* connected(`sock.shutdown(socket.SHUT_WR); say(receive(sock))`)
      yield* drain(connection)
      yield* connection.write("still here")
      yield* connection.close
      expect(yield* peer.ended).toContain("b'still here'")
    })
  )

  trap(
    "a reply arrives whole although its request was not read",
    Effect.gen(function* () {
      const reply = pattern(2 << 20)
      const sent = yield* Deferred.make<void>()
      const port = yield* serve((connection) => Effect.zipRight(Deferred.await(sent), connection.write(reply)))
      const peer = yield* python(
        `
sock = connect(); sock.sendall(bytes(200000)); say("sent"); wait()
say(hashlib.sha256(receive(sock)).hexdigest())`,
        port
      )
      yield* peer.line
      yield* Deferred.succeed(sent, undefined)
      yield* peer.go
      expect(yield* peer.ended).toContain(sha256(reply))
    })
  )

  trap(
    "a peer that has closed fails the writes",
    Effect.gen(function* () {
      const { connection, peer } = yield* accepted("sock.close()")
      yield* peer.ended
      expect(yield* drain(connection)).toBe(0)
      expect(gone).toContain(yield* writesFail(connection))
    })
  )
})
