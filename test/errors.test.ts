/**
 * The table of errors: each is provoked for real, and says the same on every runtime.
 * Those that want another network or other rights are in errorsElsewhere.test.ts.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { networkInterfaces, tmpdir } from "node:os"
import { join } from "node:path"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import { afterAll, describe, expect, it } from "vitest"
import { RuntimeNetwork } from "../adapters/runtime/index.ts"
import { parseCidr } from "../src/Cidr.ts"
import * as Net from "../src/Net.ts"
import { Unsupported } from "../src/NetError.ts"
import type { Network } from "../src/Network.ts"
import * as SocketAddress from "../src/SocketAddress.ts"
import type { Capability } from "../src/Transport.ts"
import { drain, listen, pair, resettablePair, unbuffered } from "./conformance/support.ts"
import { type Expected, holds } from "./support/expectError.ts"
import { noPython, python } from "./support/python.ts"
import { reportOf } from "./support/report.ts"

const { capabilities, runtime } = RuntimeNetwork.transport

const folder = mkdtempSync(join(tmpdir(), "netkit-errors-"))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const row = (
  name: string,
  attempt: Effect.Effect<unknown, unknown, Network | Scope.Scope>,
  expected: Expected,
  skip?: string
) => {
  if (skip !== undefined) console.warn(`skipped: ${name}: ${skip}`)
  it.skipIf(skip !== undefined)(
    name,
    () =>
      Effect.runPromise(Effect.scoped(reportOf(attempt)).pipe(Effect.provide(RuntimeNetwork.layer))).then((report) =>
        holds(report, expected)
      )
  )
}

const free = Effect.map(Effect.scoped(listen()), ({ address }) => address)

const portOf = ({ address }: Net.Listener): number => SocketAddress.isInetAddress(address) ? address.port : 0

const noIpv6 = Object.values(networkInterfaces()).flat().some((own) => own?.address === "::1")
  ? undefined
  : "this machine has no ::1"

/** A listener that accepts nobody and whose queue is full: to a further SYN there is no answer. */
const silent = Effect.gen(function* () {
  const peer = yield* python(`
server = socket.socket(); server.bind(("127.0.0.1", 0)); server.listen(0)
fill = [socket.socket() for _ in range(4)]
for sock in fill: sock.setblocking(False); sock.connect_ex(server.getsockname())
time.sleep(0.1)
say(server.getsockname()[1]); wait()`)
  return { host: "127.0.0.1", port: Number(yield* peer.line) }
})

describe("connect", () => {
  row("nobody listens", Effect.flatMap(free, (address) => Net.connect(address)), {
    tag: "ConnectionRefused",
    operation: "connect",
    address: expect.stringMatching(/^127\.0\.0\.1:\d+$/),
    hasCause: true,
    transient: true
  })
  row("no answer", Effect.flatMap(silent, (address) => Net.connect(address, { connectTimeout: "300 millis" })), {
    tag: "ConnectTimeout",
    operation: "connect",
    message: expect.stringContaining("300ms"),
    transient: true
  }, noPython)
  row("unknown name", Net.connect("name.invalid:80"), {
    tag: "NameNotFound",
    operation: "connect",
    address: "name.invalid:80",
    hasCause: true,
    transient: true
  })
  row("from an address of another machine", Net.connect("127.0.0.1:9", { localAddress: "192.0.2.1" }), {
    tag: "AddressNotAvailable",
    operation: "connect",
    address: "127.0.0.1:9",
    hasCause: true,
    transient: false
  })
  describe.each([
    ["127.0.0.1", { localAddress: "127.0.0.1" }],
    ["127.0.0.1", {}],
    ["[::1]", {}]
  ])("to %s with %j", (host, options) => {
    row(
      "from a port that leads there already",
      Effect.gen(function* () {
        const { address } = yield* Net.listen(`${host}:0`)
        const localPort = yield* Effect.scoped(Effect.map(Net.listen(`${host}:0`), portOf))
        const first = yield* Net.connect(address, { ...options, localPort })
        expect(String(first.localAddress)).toBe(`${host}:${localPort}`)
        return yield* Net.connect(address, { ...options, localPort })
      }),
      {
        tag: "AddressInUse",
        operation: "connect",
        message: expect.stringContaining("localPort already in use"),
        hasCause: true,
        transient: false
      },
      host === "[::1]" ? noIpv6 : undefined
    )
  })
  row("no such path", Net.connect({ path: join(folder, "none.sock") }), {
    tag: "PathNotFound",
    operation: "connect",
    address: join(folder, "none.sock"),
    hasCause: true,
    transient: false
  })
  row(
    "a path that nobody listens on any more",
    Effect.suspend(() => {
      writeFileSync(join(folder, "stale.sock"), "")
      return Net.connect({ path: join(folder, "stale.sock") })
    }),
    { tag: "ConnectionRefused", operation: "connect", address: join(folder, "stale.sock"), hasCause: true }
  )
})

describe("listen", () => {
  row("somebody listens there", Effect.flatMap(listen(), ({ address }) => Net.listen(address)), {
    tag: "AddressInUse",
    operation: "listen",
    address: expect.stringMatching(/^127\.0\.0\.1:\d+$/),
    hasCause: true,
    transient: false
  })
  row("an address of another machine", Net.listen("192.0.2.1:0"), {
    tag: "AddressNotAvailable",
    operation: "listen",
    address: "192.0.2.1:0",
    hasCause: true,
    transient: false
  })
  row("unknown name", Net.listen("name.invalid:0"), {
    tag: "NameNotFound",
    operation: "listen",
    address: "name.invalid:0",
    hasCause: true
  })
  row("a path in a folder that is not there", Net.listen({ path: join(folder, "none/x.sock") }), {
    tag: "PathNotFound",
    operation: "listen",
    address: join(folder, "none/x.sock"),
    hasCause: true
  })
  row(
    "a path that is taken",
    Effect.suspend(() => {
      writeFileSync(join(folder, "taken.sock"), "")
      return Net.listen({ path: join(folder, "taken.sock") })
    }),
    {
      tag: "AddressInUse",
      operation: "listen",
      address: join(folder, "taken.sock"),
      message: expect.stringContaining("what lies there is no socket"),
      hasCause: true
    }
  )
  row("accept after the end", Effect.flatMap(Effect.scoped(listen()), ({ accept }) => accept), {
    tag: "ConnectionClosed",
    operation: "accept",
    hasCause: false,
    transient: false
  })
})

describe("read and write", () => {
  const reset = Effect.tap(
    resettablePair,
    ({ client, server }) =>
      client.write("x").pipe(Effect.zipRight(server.readExactly(1)), Effect.zipRight(client.reset))
  )
  const ofPeer = { address: expect.stringMatching(/^127\.0\.0\.1:\d+$/) }

  row("read: the peer has reset", Effect.flatMap(reset, ({ server }) => server.read), {
    tag: "ConnectionReset",
    operation: "read",
    ...ofPeer,
    hasCause: true,
    transient: true
  })
  row(
    "write: the peer has reset",
    Effect.flatMap(reset, ({ server }) => Effect.zipRight(Effect.ignore(server.read), server.write("x"))),
    {
      tag: "ConnectionReset",
      operation: "write",
      ...ofPeer,
      hasCause: true,
      transient: true
    }
  )
  row(
    "write: the peer has closed",
    Effect.flatMap(pair(), ({ client, server }) =>
      client.close.pipe(
        Effect.zipRight(drain(server)),
        Effect.zipRight(Effect.forever(Effect.zipLeft(server.write("x"), Effect.sleep(1))))
      )),
    {
      tag: expect.stringMatching(/^(BrokenPipe|ConnectionReset)$/),
      operation: "write",
      ...ofPeer,
      hasCause: true,
      transient: true
    }
  )
  row("read after close", Effect.flatMap(pair(), ({ client }) => Effect.zipRight(client.close, client.read)), {
    tag: "ConnectionClosed",
    operation: "read",
    ...ofPeer,
    transient: false
  })
  row("write after close", Effect.flatMap(pair(), ({ client }) => Effect.zipRight(client.close, client.write("x"))), {
    tag: "ConnectionClosed",
    operation: "write",
    ...ofPeer,
    transient: false
  })
  row(
    "write after shutdown",
    Effect.flatMap(pair(), ({ client }) => Effect.zipRight(client.shutdown, client.write("x"))),
    {
      tag: "ConnectionClosed",
      operation: "write",
      ...ofPeer,
      transient: false
    }
  )
  row(
    "read that waits when it is closed",
    Effect.flatMap(pair(), ({ client }) =>
      Effect.gen(function* () {
        const reading = yield* Effect.fork(client.read)
        yield* Effect.yieldNow()
        yield* client.close
        return yield* Fiber.join(reading)
      })),
    { tag: "ConnectionClosed", operation: "read", ...ofPeer }
  )
  row(
    "nothing to read in time",
    Effect.flatMap(pair({ client: { readTimeout: "20 millis" } }), ({ client }) => client.read),
    {
      tag: "ReadTimeout",
      operation: "read",
      ...ofPeer,
      message: expect.stringContaining("20ms"),
      transient: true
    }
  )
  row(
    "nothing taken in time",
    Effect.flatMap(
      pair({ client: { writeTimeout: "200 millis", closeTimeout: "50 millis" } }),
      ({ client }) => client.write(new Uint8Array(unbuffered))
    ),
    {
      tag: "WriteTimeout",
      operation: "write",
      ...ofPeer,
      message: expect.stringContaining("200ms"),
      transient: true
    }
  )
  row(
    "the end before all was read",
    Effect.flatMap(
      pair(),
      ({ client, server }) =>
        client.write("abc").pipe(Effect.zipRight(client.shutdown), Effect.zipRight(server.readExactly(5)))
    ),
    {
      tag: "UnexpectedEnd",
      operation: "read",
      ...ofPeer,
      message: expect.stringContaining("after 3 bytes of 5"),
      transient: true
    }
  )
  row(
    "a line beyond its limit",
    Effect.flatMap(
      pair(),
      ({ client, server }) => Effect.zipRight(client.write("x".repeat(100)), server.readUntil("\n", { maxLength: 50 }))
    ),
    {
      tag: "MessageTooLarge",
      operation: "read",
      ...ofPeer,
      message: expect.stringContaining("limit of 50"),
      transient: false
    }
  )
  row(
    "reset of a Unix socket",
    Effect.gen(function* () {
      const listener = yield* Net.listen({ path: join(folder, "reset.sock") })
      const client = yield* Net.connect(listener.address)
      return yield* client.reset
    }),
    {
      tag: "Unsupported",
      operation: "reset",
      message: `reset: not supported on ${runtime}: closing with a reset (RST) (see the support table)`,
      transient: false
    }
  )
})

describe("what a runtime cannot do", () => {
  const rows = readFileSync("README.md", "utf8").replaceAll("`", "").split("\n").filter((line) => line.startsWith("| "))

  it.each(Object.keys(capabilities) as ReadonlyArray<Capability>)(
    "%s is named as in the support table",
    (capability) => {
      const { message } = new Unsupported({ operation: "connect", capability, runtime })
      const [, name] = /^connect: not supported on \w+: (.+) \(see the support table\)$/.exec(message)!
      expect(rows.filter((row) => row.startsWith(`| ${name} |`))).toHaveLength(1)
    }
  )
})

describe("wrong options", () => {
  row("a duration", Net.connect("127.0.0.1:9", { connectTimeout: "3s" as never }), {
    tag: "InvalidOption",
    message: 'connectTimeout 3s: not a duration such as "3 seconds"'
  })
})

describe("wrong addresses", () => {
  const wrong = [
    "",
    ":80",
    "a b:80",
    "127.0.0.1",
    "::1",
    "[::1]",
    "127.0.0.1:70000",
    "127.0.0.1:1.5",
    "127.0.0.1:-1",
    "1.2.3.4.5:80",
    "unix:"
  ]
  it.each(wrong)("%j", (text) => {
    const attempts = [Net.connect(text), Net.listen(text)]
    return Effect.runPromise(
      Effect.scoped(Effect.forEach(attempts, reportOf)).pipe(Effect.provide(RuntimeNetwork.layer))
    )
      .then((reports) =>
        reports.forEach((report) => expect(report).toMatchObject({ tag: "InvalidOption", transient: false }))
      )
  })
  it.each(["10.0.0.0/33", "::/129", "10.0.0.0/-1", "10.0.0.0/x", "10.0.0/8", "name/8", "/8", ""])(
    "the block %j",
    (text) =>
      Effect.runPromise(reportOf(parseCidr(text))).then((report) =>
        expect(report).toMatchObject({ tag: "InvalidOption" })
      )
  )
})
