/**
 * Datagrams to and from foreign peers: Python's sockets, and netcat where it is found. The file runs under Node, Deno
 * and Bun.
 */
import { spawn, spawnSync } from "node:child_process"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import { expect, it } from "vitest"
import { RuntimeNetwork } from "../adapters/runtime/index.ts"
import * as Udp from "../src/Udp.ts"
import * as UdpServer from "../src/UdpServer.ts"
import { pattern, standstill, text } from "./conformance/support.ts"
import { sha256, tagOf, trap } from "./support/peers.ts"
import { python } from "./support/python.ts"

const echo = Effect.map(
  UdpServer.make({ listen: { port: 0 }, handler: ({ bytes }) => bytes }).serve,
  ({ address }) => address.port
)

const sock = `
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.settimeout(10)
`

trap(
  "a Python client gets its own datagrams back, of any size",
  Effect.gen(function* () {
    const peer = yield* python(
      `${sock}
sock.connect(("127.0.0.1", int(sys.argv[1])))
for size in [0, 1, 512, 1472, 9000, 65507]:
    sent = os.urandom(size)
    sock.send(sent)
    assert sock.recv(70000) == sent, size
say("whole")`,
      yield* echo
    )
    expect((yield* peer.ended).trim()).toBe("whole")
  })
)

trap(
  "a Python server that hears every third datagram only is asked until it answers",
  Effect.gen(function* () {
    const peer = yield* python(`${sock}
sock.bind(("127.0.0.1", 0))
say(sock.getsockname()[1])
count = 0
while True:
    data, sender = sock.recvfrom(70000)
    count += 1
    if count % 3 == 0:
        for _ in range(2): sock.sendto(hashlib.sha256(data).hexdigest().encode(), sender)`)
    const to = { port: Number(yield* peer.line) }
    const socket = yield* Udp.bind({ port: 0 })
    for (const size of [0, 1000, 65507]) {
      const answer = yield* Udp.request(socket, to, pattern(size), {
        matches: ({ bytes }) => text(bytes) === sha256(pattern(size)),
        schedule: Schedule.spaced("20 millis")
      })
      expect(answer.from.port).toBe(to.port)
    }
  })
)

trap(
  "a Python peer that is gone is a refusal, where the runtime tells, and the next one is heard",
  Effect.gen(function* () {
    const bind = `${sock}sock.bind(("127.0.0.1", int(sys.argv[1])))\nsay(sock.getsockname()[1])\n`
    const gone = yield* python(`${bind}sock.close()`)
    const port = Number(yield* gone.line)
    yield* gone.ended
    const socket = yield* Udp.connect({ port })
    const asked = yield* tagOf(Udp.request(socket, "anybody?", { timeout: "300 millis" }))
    expect(asked).toBe(RuntimeNetwork.transport.capabilities.datagramErrors ? "ConnectionRefused" : "ReadTimeout")
    const peer = yield* python(`${bind}data, sender = sock.recvfrom(100); sock.sendto(b"here", sender)`, port)
    yield* peer.line
    expect(text((yield* Udp.request(socket, "anybody?")).bytes)).toBe("here")
  })
)

trap(
  "100,000 datagrams of a Python client that nobody receives are bounded and counted, and the socket lives on",
  Effect.gen(function* () {
    const socket = yield* Udp.bind({ port: 0 }, { capacity: 100 })
    const peer = yield* python(
      `${sock}
data = bytes(1000)
for _ in range(100000): sock.sendto(data, ("127.0.0.1", int(sys.argv[1])))
say("sent")
wait()
sock.sendto(b"the last", ("127.0.0.1", int(sys.argv[1])))`,
      socket.address.port
    )
    yield* peer.line
    yield* standstill(Effect.map(socket.stats, ({ received }) => received))
    const { dropped, queued, received } = yield* socket.stats
    expect(queued).toBe(100)
    expect(dropped).toBe(received - queued)
    yield* peer.go
    const last = yield* Effect.repeat(socket.receive, { until: ({ bytes }) => bytes.length === 8 })
    expect(text(last.bytes)).toBe("the last")
  })
)

const noNetcat = spawnSync("nc", ["-h"]).error !== undefined
if (noNetcat) console.warn("skipped: nc not found")

it.skipIf(noNetcat)("netcat gets its line back", () =>
  Effect.runPromise(
    Effect.scoped(Effect.gen(function* () {
      const port = yield* echo
      const said = yield* Effect.async<string>((resume) => {
        const nc = spawn("nc", ["-u", "-w", "1", "127.0.0.1", String(port)])
        nc.stdout.on("data", (chunk) => {
          nc.kill()
          resume(Effect.succeed(String(chunk)))
        })
        nc.stdin.write("hello\n")
      })
      expect(said).toBe("hello\n")
    })).pipe(Effect.provide(RuntimeNetwork.layer))
  ))
