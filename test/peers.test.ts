/**
 * Traps of the three runtimes' sockets that only a raw foreign peer springs: it resets before it is accepted, sends a byte at a time,
 * stops reading, or never closes. The peers are Python; the same file runs under Node, Deno and Bun.
 */
import { createHash } from "node:crypto"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import { describe, expect, it } from "vitest"
import { RuntimeNetwork } from "../adapters/runtime/index.ts"
import type { Connection } from "../src/Connection.ts"
import * as Net from "../src/Net.ts"
import type { Network } from "../src/Network.ts"
import * as Server from "../src/Server.ts"
import * as SocketAddress from "../src/SocketAddress.ts"
import { drain, echo, pattern, readAll, standstill, text, writeIn } from "./conformance/support.ts"
import { noPython, python, pythonMeanwhile } from "./support/python.ts"

if (noPython !== undefined) console.warn(`skipped: ${noPython}`)

const trap = (name: string, body: Effect.Effect<unknown, unknown, Network | Scope.Scope>) =>
  it.skipIf(noPython !== undefined)(name, { timeout: 30_000 }, () =>
    Effect.runPromise(Effect.asVoid(Effect.scoped(body)).pipe(Effect.provide(RuntimeNetwork.layer))))

const portOf = ({ address }: { readonly address: SocketAddress.SocketAddress }): number =>
  SocketAddress.isInetAddress(address) ? address.port : 0

const serve = <E>(
  handler: (connection: Connection) => Effect.Effect<unknown, E>,
  options?: Partial<Server.ServerOptions<E, never>>
) => Effect.map(Server.serve(Server.make({ listen: { port: 0 }, handler, drainTimeout: "1 second", ...options })), portOf)

/** A foreign client and this side of its connection. */
const accepted = (script: string, options?: Net.ListenOptions) =>
  Effect.gen(function*() {
    const listener = yield* Net.listen({ port: 0 }, options)
    const peer = yield* python(`sock = connect()\n${script}`, portOf(listener))
    return { peer, connection: yield* listener.accept }
  })

/** A foreign server and a connection to it. */
const connected = (script: string, options?: Net.ConnectOptions) =>
  Effect.gen(function*() {
    const peer = yield* python(`
server = socket.create_server(("127.0.0.1", 0))
say(server.getsockname()[1])
sock, _ = server.accept()
${script}`)
    return { peer, connection: yield* Net.connect({ port: Number(yield* peer.line) }, options) }
  })

const tagOf = <R>(effect: Effect.Effect<unknown, { readonly _tag: string }, R>) =>
  Effect.match(effect, { onFailure: ({ _tag }) => _tag, onSuccess: () => "success" })

const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex")

const gone = ["ConnectionReset", "BrokenPipe"]
/** Until the connection says that its peer has gone. */
const writesFail = (connection: Connection) =>
  tagOf(Effect.forever(Effect.zipRight(connection.write(new Uint8Array(1000)), Effect.sleep("1 millis"))))

describe("resets", () => {
  trap("twenty clients that reset before they are accepted: the next one is served", Effect.gen(function*() {
    const port = yield* serve(echo)
    // The event loop stands still meanwhile, so nothing is accepted.
    pythonMeanwhile("for _ in range(20): reset(connect())", port)
    const good = yield* python(`sock = connect(); sock.sendall(b"hello"); sock.shutdown(socket.SHUT_WR); say(receive(sock))`, port)
    expect((yield* good.ended).trim()).toBe("b'hello'")
  }))

  trap("twenty clients that reset before they are accepted: accept goes on", Effect.gen(function*() {
    const listener = yield* Net.listen({ port: 0 })
    pythonMeanwhile("for _ in range(20): reset(connect())", portOf(listener))
    const peer = yield* python(`sock = connect(); sock.sendall(b"good"); wait()`, portOf(listener))
    const one = Effect.scoped(Effect.flatMap(listener.accept, (connection) =>
      Effect.map(Effect.option(connection.readExactly(4)), (bytes) => bytes._tag === "Some" ? text(bytes.value) : "")))
    while ((yield* one) !== "good");
    yield* peer.go
    yield* peer.ended
  }))

  for (const size of [0, 3, 200_000]) {
    trap(`a reset with ${size} bytes unread is no end of stream`, Effect.gen(function*() {
      for (let round = 0; round < 5; round++) {
        const { connection, peer } = yield* accepted(`sock.sendall(bytes(${size})); say("sent"); wait(); reset(sock)`)
        yield* peer.line
        const reading = yield* Effect.fork(tagOf(drain(connection)))
        yield* peer.go
        expect(yield* Fiber.join(reading)).toBe("ConnectionReset")
        expect(yield* tagOf(connection.read)).toBe("ConnectionReset")
        expect(gone).toContain(yield* writesFail(connection))
      }
    }))

    trap(`a reset with ${size} bytes unread, seen only later, is no end of stream`, Effect.gen(function*() {
      for (let round = 0; round < 5; round++) {
        const { connection, peer } = yield* accepted(`sock.sendall(bytes(${size})); wait(); reset(sock)`)
        yield* peer.go
        yield* peer.ended
        expect(yield* tagOf(drain(connection))).toBe("ConnectionReset")
      }
    }))
  }

  trap("a reset while nobody reads fails the writes", Effect.gen(function*() {
    const { connection, peer } = yield* accepted("wait(); reset(sock)")
    yield* peer.go
    yield* peer.ended
    expect(gone).toContain(yield* writesFail(connection))
    expect(["ConnectionReset", "success"]).toContain(yield* tagOf(drain(connection)))
  }))

  trap("a server that resets at once is a reset, not an end", Effect.gen(function*() {
    // Already the connect may see it, or only the read.
    const reading = Effect.flatMap(connected("reset(sock)"), ({ connection }) => drain(connection))
    expect(yield* tagOf(reading)).toBe("ConnectionReset")
  }))

  trap("a reset of ours is a reset to the peer", Effect.gen(function*() {
    const { connection, peer } = yield* accepted(`
try: say(receive(sock))
except ConnectionResetError: say("reset")`, { resettable: true })
    yield* connection.write("lost")
    yield* connection.reset
    expect((yield* peer.ended).trim()).toBe("reset")
  }))
})

describe("ends of stream", () => {
  trap("what came before a FIN is all there, though nobody read meanwhile", Effect.gen(function*() {
    const { connection, peer } = yield* accepted(`sock.sendall(bytes(range(256)) * 4000); sock.close()`)
    yield* peer.ended
    const bytes = yield* readAll(connection)
    expect(bytes.length).toBe(1_024_000)
    expect(bytes.every((byte, i) => byte === i % 256)).toBe(true)
    expect(yield* tagOf(connection.read)).toBe("success")
  }))

  trap("a half-closed client gets megabytes whole", Effect.gen(function*() {
    const reply = pattern(8 << 20)
    const port = yield* serve((connection) => Effect.zipRight(drain(connection), writeIn(connection, reply, 100_000)))
    const peer = yield* python(`
sock = connect(); sock.sendall(b"request"); sock.shutdown(socket.SHUT_WR)
time.sleep(0.05)
say(hashlib.sha256(receive(sock)).hexdigest())`, port)
    expect((yield* peer.ended).trim()).toBe(sha256(reply))
  }))

  trap("a half-closed server still hears us", Effect.gen(function*() {
    const { connection, peer } = yield* connected(`sock.shutdown(socket.SHUT_WR); say(receive(sock))`)
    yield* drain(connection)
    yield* connection.write("still here")
    yield* connection.close
    expect(yield* peer.ended).toContain("b'still here'")
  }))

  trap("a reply arrives whole although its request was not read", Effect.gen(function*() {
    const reply = pattern(2 << 20)
    const sent = yield* Deferred.make<void>()
    const port = yield* serve((connection) => Effect.zipRight(Deferred.await(sent), connection.write(reply)))
    const peer = yield* python(`
sock = connect(); sock.sendall(bytes(200000)); say("sent"); wait()
say(hashlib.sha256(receive(sock)).hexdigest())`, port)
    yield* peer.line
    yield* Deferred.succeed(sent, undefined)
    yield* peer.go
    expect(yield* peer.ended).toContain(sha256(reply))
  }))

  trap("a peer that has closed fails the writes", Effect.gen(function*() {
    const { connection, peer } = yield* accepted("sock.close()")
    yield* peer.ended
    expect(yield* drain(connection)).toBe(0)
    expect(gone).toContain(yield* writesFail(connection))
  }))
})

describe("slow peers", () => {
  trap("a byte at a time makes the same lines", Effect.gen(function*() {
    const { connection } = yield* accepted(`
sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
for byte in b"first\\r\\nsecond\\r\\n12345rest":
    sock.send(bytes([byte])); time.sleep(0.001)
sock.close()`)
    expect(text(yield* connection.readUntil("\r\n"))).toBe("first\r\n")
    expect(text(yield* connection.readUntil("\r\n"))).toBe("second\r\n")
    expect(text(yield* connection.readExactly(5))).toBe("12345")
    expect(text(yield* readAll(connection))).toBe("rest")
  }))

  trap("a stalled reader stops the writer, and gets everything once it reads", Effect.gen(function*() {
    const { connection, peer } = yield* accepted(`wait(); say(hashlib.sha256(receive(sock)).hexdigest())`)
    const sent = pattern(64 << 20)
    const writing = yield* Effect.fork(Effect.zipRight(writeIn(connection, sent, 65536), connection.shutdown))
    const taken = yield* standstill(Effect.map(connection.stats, ({ bytesWritten }) => bytesWritten))
    expect(taken).toBeLessThan(sent.length / 2)
    yield* peer.go
    yield* Fiber.join(writing)
    expect((yield* peer.ended).trim()).toBe(sha256(sent))
  }))

  trap("a flooding peer is stopped by a reader that does not read", Effect.gen(function*() {
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
  }))

  trap("two hundred clients at once each get their echo", Effect.gen(function*() {
    const port = yield* serve(echo)
    const peer = yield* python(`
def one(n):
    data = os.urandom(10000 + n)
    with connect() as sock:
        threading.Thread(target=lambda: (sock.sendall(data), sock.shutdown(socket.SHUT_WR))).start()
        if receive(sock) == data: good.append(n)
good = []
threads = [threading.Thread(target=one, args=(n,)) for n in range(200)]
for t in threads: t.start()
for t in threads: t.join()
say(len(good))`, port)
    expect((yield* peer.ended).trim()).toBe("200")
  }))
})

describe("peers that never close", () => {
  const quick = { closeTimeout: "50 millis" } as const

  trap("a peer that neither reads nor closes: close returns", Effect.gen(function*() {
    const { connection } = yield* accepted("wait()", quick)
    yield* Effect.fork(Effect.ignore(connection.write(new Uint8Array(32 << 20))))
    yield* Effect.yieldNow()
    yield* connection.close
    yield* connection.closed
  }))

  trap("a peer that floods and does not close: close returns", Effect.gen(function*() {
    const { connection } = yield* accepted(`
try:
    while True: sock.sendall(bytes(65536))
except OSError: pass
wait()`, quick)
    yield* connection.readExactly(1)
    yield* connection.close
  }))

  trap("a silent peer that does not close: close returns, and the peer sees the end", Effect.gen(function*() {
    const { connection, peer } = yield* accepted(`say(receive(sock)); wait()`, quick)
    yield* connection.write("goodbye")
    yield* connection.close
    expect(yield* peer.line).toBe("b'goodbye'")
  }))

  trap("a server drains in spite of them", Effect.gen(function*() {
    const scope = yield* Scope.make()
    const stubborn = (connection: Connection) => Effect.zipRight(connection.write(new Uint8Array(32 << 20)), Effect.never)
    const port = yield* serve(stubborn, { ...quick, drainTimeout: "50 millis" }).pipe(Scope.extend(scope))
    const peer = yield* python(`socks = [connect() for _ in range(5)]; say("connected"); wait()`, port)
    yield* peer.line
    yield* Scope.close(scope, Exit.void)
  }))
})
