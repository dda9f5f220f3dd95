/**
 * Raw foreign peers that take their time: a byte at a time, a reader that stalls, a sender that floods, and those that
 * never close. The peers are Python; the file runs under Node, Deno and Bun.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import { describe, expect } from "vitest"
import type { Connection } from "../src/Connection.ts"
import * as Framing from "../src/Framing.ts"
import * as FramedServer from "../src/FramedServer.ts"
import { drain, echo, pattern, readAll, standstill, text, writeIn } from "./conformance/support.ts"
import { accepted, serve, sha256, trap } from "./support/peers.ts"
import { python } from "./support/python.ts"

describe("slow peers", () => {
  trap(
    "a byte at a time makes the same lines",
    Effect.gen(function* () {
      const { connection } = yield* accepted(`
sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
for byte in b"first\\r\\nsecond\\r\\n12345rest":
    sock.send(bytes([byte])); time.sleep(0.001)
sock.close()`)
      expect(text(yield* connection.readUntil("\r\n"))).toBe("first\r\n")
      expect(text(yield* connection.readUntil("\r\n"))).toBe("second\r\n")
      expect(text(yield* connection.readExactly(5))).toBe("12345")
      expect(text(yield* readAll(connection))).toBe("rest")
    })
  )

  trap(
    "a stalled reader stops the writer, and gets everything once it reads",
    Effect.gen(function* () {
      const { connection, peer } = yield* accepted(`wait(); say(hashlib.sha256(receive(sock)).hexdigest())`)
      const sent = pattern(64 << 20)
      const writing = yield* Effect.fork(Effect.zipRight(writeIn(connection, sent, 65536), connection.shutdown))
      const taken = yield* standstill(Effect.map(connection.stats, ({ bytesWritten }) => bytesWritten))
      expect(taken).toBeLessThan(sent.length / 2)
      yield* peer.go
      yield* Fiber.join(writing)
      expect((yield* peer.ended).trim()).toBe(sha256(sent))
    })
  )

  trap(
    "a flooding peer is stopped by a reader that does not read",
    Effect.gen(function* () {
      const { connection, peer } = yield* accepted(`
sock.setblocking(False)
sent = 0; idle = 0
while idle < 20:
    try:
        sent += sock.send(bytes(65536)); idle = 0
    except BlockingIOError:
        idle += 1; time.sleep(0.02)
say(sent)
sock.setblocking(True); sock.close()`)
      yield* connection.readExactly(1)
      const sent = Number(yield* peer.line)
      expect(sent).toBeLessThan(32 << 20)
      expect((yield* connection.stats).unread).toBeLessThan(2 << 20)
      expect(yield* drain(connection)).toBe(sent - 1)
    })
  )

  trap(
    "two hundred clients at once each get their echo",
    Effect.gen(function* () {
      const port = yield* serve(echo)
      const peer = yield* python(
        `
def one(n):
    data = os.urandom(10000 + n)
    with connect() as sock:
        threading.Thread(target=lambda: (sock.sendall(data), sock.shutdown(socket.SHUT_WR))).start()
        if receive(sock) == data: good.append(n)
good = []
threads = [threading.Thread(target=one, args=(n,)) for n in range(200)]
for t in threads: t.start()
for t in threads: t.join()
say(len(good))`,
        port
      )
      expect((yield* peer.ended).trim()).toBe("200")
    })
  )
})

describe("peers that never close", () => {
  const quick = { closeTimeout: "50 millis" } as const

  trap(
    "a peer that neither reads nor closes: close returns",
    Effect.gen(function* () {
      const { connection } = yield* accepted("wait()", quick)
      yield* Effect.fork(Effect.ignore(connection.write(new Uint8Array(32 << 20))))
      yield* Effect.yieldNow()
      yield* connection.close
      yield* connection.closed
    })
  )

  trap(
    "a peer that floods and does not close: close returns",
    Effect.gen(function* () {
      const { connection } = yield* accepted(
        `
try:
    while True: sock.sendall(bytes(65536))
except OSError: pass
wait()`,
        quick
      )
      yield* connection.readExactly(1)
      yield* connection.close
    })
  )

  for (const [why, said] of [["messages are left", "quit\\r\\nmore\\r\\n"], ["it was no frame", "bare\\n"]] as const) {
    trap(
      `a peer that goes on sending when the session is over has the whole last reply: ${why}`,
      Effect.gen(function* () {
        const reply = "y".repeat(400_000)
        const handler = FramedServer.handler({
          codec: Framing.lines({ strict: true, maxFrameLength: 1 << 20 }).pipe(Framing.text()),
          handler: (session) => () => Effect.zipRight(session.send(reply), FramedServer.end),
          onFrameError: () => reply
        })
        const port = yield* serve(handler)
        const peer = yield* python(
          `
sock = connect()
sock.sendall(b"${said}")
first = sock.recv(1)
time.sleep(0.1)
for _ in range(100): sock.send(b"more\\n" * 20)
say(len(first) + len(receive(sock)))`,
          port
        )
        expect(yield* peer.line).toBe(String(reply.length + 2))
      })
    )
  }

  trap(
    "a silent peer that does not close: close returns, and the peer sees the end",
    Effect.gen(function* () {
      const { connection, peer } = yield* accepted(`say(receive(sock)); wait()`, quick)
      yield* connection.write("goodbye")
      yield* connection.close
      expect(yield* peer.line).toBe("b'goodbye'")
    })
  )

  trap(
    "a server drains in spite of them",
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const stubborn = (connection: Connection) =>
        Effect.zipRight(connection.write(new Uint8Array(32 << 20)), Effect.never)
      const port = yield* serve(stubborn, { ...quick, drainTimeout: "50 millis" }).pipe(Scope.extend(scope))
      const peer = yield* python(`socks = [connect() for _ in range(5)]; say("connected"); wait()`, port)
      yield* peer.line
      yield* Scope.close(scope, Exit.void)
    })
  )
})
