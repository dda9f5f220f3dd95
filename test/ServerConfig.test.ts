/**
 * Servers from the configuration.
 */
import { describe, expect, it } from "@effect/vitest"
import { Config, ConfigProvider, Duration, Effect, Either, Layer, Option } from "effect"
import { Framed, FramedServer, Framing, Net, Server, SocketAddress, Udp, UdpServer } from "effect-netkit"
import { MemoryNetwork } from "effect-netkit/memory"

const provider = (entries: Readonly<Record<string, string>>) =>
  ConfigProvider.fromMap(new Map(Object.entries(entries)), { pathDelim: "_" }).pipe(ConfigProvider.constantCase)

const read = <A>(config: Config.Config<A>, entries: Readonly<Record<string, string>>) =>
  Effect.withConfigProvider(Effect.either(config), provider(entries))

describe("Server.config", () => {
  it.effect("takes every option by its name, and the defaults for the rest", () =>
    Effect.gen(function* () {
      const settings = yield* read(Server.config({ listen: "127.0.0.1:1", backlog: 7, noDelay: false }), {
        LISTEN: "[::1]:7788",
        BACKLOG: "100",
        REUSE_PORT: "true",
        IPV6_ONLY: "false",
        MODE: "0660",
        KEEP_ALIVE: "30 seconds",
        READ_BUFFER: "4096",
        WRITE_BUFFER: "8192",
        RESETTABLE: "true",
        MAX_CONNECTIONS: "500",
        OVERFLOW: "reject",
        MAX_CONNECTIONS_PER_HOST: "infinity",
        ACCEPT_RATE_LIMIT: "10",
        ACCEPT_RATE_WINDOW: "1 second",
        ALLOW: "10.0.0.0/8, ::1",
        DENY: "10.0.0.1",
        READ_TIMEOUT: "1 minute",
        WRITE_TIMEOUT: "infinity",
        CLOSE_TIMEOUT: "1 second",
        DRAIN_TIMEOUT: "5 seconds"
      })
      expect(Either.getOrThrow(settings)).toEqual({
        listen: SocketAddress.inet("::1", 7788),
        backlog: 100,
        noDelay: false,
        reusePort: true,
        ipv6Only: false,
        mode: 0o660,
        keepAlive: Duration.seconds(30),
        readBuffer: 4096,
        writeBuffer: 8192,
        resettable: true,
        maxConnections: 500,
        overflow: "reject",
        maxConnectionsPerHost: Infinity,
        acceptRate: { limit: 10, window: Duration.seconds(1) },
        allow: ["10.0.0.0/8", "::1"],
        deny: ["10.0.0.1"],
        readTimeout: Duration.minutes(1),
        writeTimeout: Duration.infinity,
        closeTimeout: Duration.seconds(1),
        drainTimeout: Duration.seconds(5)
      })
    }))

  it.effect("needs a place to listen and nothing else", () =>
    Effect.gen(function* () {
      expect(yield* read(Server.config(), {})).toMatchObject({ left: { _op: "MissingData", path: ["listen"] } })
      expect(yield* read(Server.config({ listen: "127.0.0.1:1" }), {})).toEqual(Either.right({ listen: "127.0.0.1:1" }))
    }))

  it.effect.each<readonly [string, string, string]>([
    ["LISTEN", "nowhere:99999", "99999"],
    ["MAX_CONNECTIONS", "many", "many: not a whole number, or infinity"],
    ["READ_TIMEOUT", "soon", "soon: not a duration"],
    ["DRAIN_TIMEOUT", "-1 second", "-1 second: not a duration"],
    ["KEEP_ALIVE", "maybe", "maybe: not true, false or a duration"],
    ["MODE", "rw", "rw: not permissions in octal"],
    ["OVERFLOW", "explode", "explode"],
    ["BACKLOG", "few", "few"],
    ["ACCEPT_RATE_LIMIT", "5", 'acceptRate: "without window"'],
    ["ACCEPT_RATE_WINDOW", "1 second", 'acceptRate: "without limit"'],
    ["MIN_THROUGHPUT_GRACE", "1 second", 'minThroughput: "without bytesPerSecond"'],
    ["MAX_CONNECTIONS", "-1", "at maxConnections: "]
  ])("says what is wrong with %s", ([name, value, reason]) =>
    Effect.gen(function* () {
      const result = yield* read(Server.config({ listen: "127.0.0.1:1" }), { [name]: value })
      expect(String(Option.getOrThrow(Either.getLeft(result)))).toContain(reason)
    }))
})

describe("UdpServer.config", () => {
  it.effect("takes every option by its name, and the defaults for the rest", () =>
    Effect.gen(function* () {
      const settings = yield* read(UdpServer.config({ listen: "127.0.0.1:1", concurrency: 7 }), {
        NAME: "names",
        REUSE_PORT: "true",
        REUSE_ADDRESS: "true",
        IPV6_ONLY: "false",
        BROADCAST: "true",
        TTL: "9",
        MULTICAST_TTL: "8",
        MULTICAST_LOOPBACK: "false",
        MULTICAST_INTERFACE: "eth0",
        RECV_BUFFER_SIZE: "65536",
        SEND_BUFFER_SIZE: "4096",
        CAPACITY: "10",
        CAPACITY_BYTES: "1000",
        OVERFLOW: "drop-newest",
        DRAIN_TIMEOUT: "5 seconds"
      })
      expect(Either.getOrThrow(settings)).toEqual({
        listen: "127.0.0.1:1",
        concurrency: 7,
        name: "names",
        reusePort: true,
        reuseAddress: true,
        ipv6Only: false,
        broadcast: true,
        ttl: 9,
        multicastTtl: 8,
        multicastLoopback: false,
        multicastInterface: "eth0",
        recvBufferSize: 65536,
        sendBufferSize: 4096,
        capacity: 10,
        capacityBytes: 1000,
        overflow: "drop-newest",
        drainTimeout: Duration.seconds(5)
      })
    }))

  it.effect("needs a place to listen, and says what is wrong", () =>
    Effect.gen(function* () {
      expect(yield* read(UdpServer.config(), {})).toMatchObject({ left: { _op: "MissingData", path: ["listen"] } })
      const wrong = yield* read(UdpServer.config({ listen: "127.0.0.1:1" }), { OVERFLOW: "pause" })
      expect(String(Option.getOrThrow(Either.getLeft(wrong)))).toContain("pause")
    }))
})

describe("Server.layerConfig", () => {
  const lines = Framing.lines().pipe(Framing.text())
  const Shout = Server.layerConfig(
    Server.config({ listen: "127.0.0.1:7788" }).pipe(
      Config.nested("shout"),
      Config.map((settings) =>
        FramedServer.make({ ...settings, codec: lines, handler: () => (line) => line.toUpperCase() })
      )
    )
  )

  it.scoped("runs a server of any kind from it", () =>
    Effect.gen(function* () {
      yield* Layer.build(Shout).pipe(Effect.withConfigProvider(provider({ SHOUT_LISTEN: "127.0.0.1:7799" })))
      const client = yield* Framed.connect("127.0.0.1:7799", lines)
      expect(yield* client.request("hello")).toBe("HELLO")
      expect(yield* Effect.flip(Net.connect("127.0.0.1:7788"))).toMatchObject({ _tag: "ConnectionRefused" })
    }).pipe(Effect.provide(MemoryNetwork.layer)))

  it.scoped("runs a server of datagrams from it", () =>
    Effect.gen(function* () {
      const Shout = Server.layerConfig(
        UdpServer.config({ listen: "127.0.0.1:7788", concurrency: 1 }).pipe(
          Config.nested("shout"),
          Config.map((settings) =>
            UdpServer.make({ ...settings, handler: ({ bytes }) => new TextDecoder().decode(bytes).toUpperCase() })
          )
        )
      )
      yield* Layer.build(Shout).pipe(Effect.withConfigProvider(provider({ SHOUT_LISTEN: "127.0.0.1:7799" })))
      const client = yield* Udp.connect("127.0.0.1:7799")
      yield* client.send("hello")
      expect(new TextDecoder().decode((yield* client.receive).bytes)).toBe("HELLO")
      const wrong = Layer.build(Shout).pipe(Effect.withConfigProvider(provider({ SHOUT_CAPACITY: "0" })), Effect.flip)
      expect(yield* wrong).toMatchObject({ _tag: "InvalidOption", option: "capacity" })
    }).pipe(Effect.provide(MemoryNetwork.layer)))

  it.scoped("fails to start with what is wrong", () =>
    Effect.gen(function* () {
      const start = (entries: Readonly<Record<string, string>>) =>
        Effect.flip(Layer.build(Shout).pipe(Effect.withConfigProvider(provider(entries))))
      expect(String(yield* start({ SHOUT_BACKLOG: "few" }))).toContain("few")
      expect(yield* start({ SHOUT_BACKLOG: "-1" })).toMatchObject({ _tag: "InvalidOption", option: "backlog" })
    }).pipe(Effect.provide(MemoryNetwork.layer)))
})
