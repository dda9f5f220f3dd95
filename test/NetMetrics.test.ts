/**
 * What servers and dials tell the metrics, the tracer and the log.
 */
import { describe, expect, it } from "@effect/vitest"
import { Chunk, Duration, Effect, HashMap, Logger, LogLevel, Metric, MetricState, Stream, TestClock } from "effect"
import { type Connection, Net, Server, Udp, UdpServer } from "effect-netkit"
import { MemoryNetwork } from "effect-netkit/memory"
import { recording } from "./support/tracer.ts"

const echo = (connection: Connection.Connection) => Stream.run(connection.stream, connection.sink)

/** The figures of one server, by name and reason: a histogram's as count and sum. */
const figures = (label: string) =>
  Effect.map(Metric.snapshot, (snapshot) => {
    const found: Record<string, unknown> = {}
    for (const { metricKey, metricState } of snapshot) {
      const tags = new Map(metricKey.tags.map(({ key, value }) => [key, value]))
      if (tags.get("server") !== label) continue
      const name = [metricKey.name.replace("netkit_server_", ""), tags.get("reason") ?? ""].join(" ").trim()
      if (MetricState.isCounterState(metricState)) found[name] = metricState.count
      else if (MetricState.isGaugeState(metricState)) found[name] = metricState.value
      else if (MetricState.isHistogramState(metricState)) found[name] = [metricState.count, metricState.sum]
    }
    return found
  })

const exchange = (address: Net.Listener["address"], text: string) =>
  Effect.gen(function* () {
    const connection = yield* Net.connect(address)
    yield* connection.write(text)
    yield* connection.shutdown
    return Chunk.join(yield* Stream.runCollect(Stream.decodeText(connection.stream)), "")
  }).pipe(Effect.scoped)

describe("metrics", () => {
  it.scoped("of a server: who came, who was refused, how each ended, how long it took", () =>
    Effect.gen(function* () {
      const server = yield* Server.serve(Server.make({
        name: "counted",
        listen: "127.0.0.1:0",
        maxConnections: 2,
        overflow: "reject",
        handler: (connection) =>
          Effect.gen(function* () {
            const bytes = yield* connection.readExactly(1)
            if (bytes[0] === 120) return yield* Effect.fail("no")
            yield* Effect.sleep("2 seconds")
            yield* connection.write(bytes)
          })
      }))
      yield* exchange(server.address, "x")
      yield* server.awaitConnections("==", 0)
      const first = yield* Net.connect(server.address)
      const second = yield* Net.connect(server.address)
      yield* first.write("a")
      yield* server.awaitConnections("==", 2)
      yield* Effect.ignore(exchange(server.address, "refused"))
      expect(yield* figures("counted")).toMatchObject({ connections_active: 2, connections_opened_total: 3 })
      yield* second.close
      yield* server.awaitConnections("==", 1)
      yield* TestClock.adjust("2 seconds")
      yield* first.readExactly(1)
      yield* first.close
      yield* server.awaitConnections("==", 0)
      expect(yield* figures("counted")).toEqual({
        connections_active: 0,
        connections_opened_total: 3,
        "connections_rejected_total maxConnections": 1,
        "connections_ended_total failed": 1,
        "connections_ended_total connectionError": 1,
        "connections_ended_total completed": 1,
        bytes_read_total: 2,
        bytes_written_total: 1,
        handler_duration_seconds: [3, 2]
      })
    }).pipe(Effect.provide(MemoryNetwork.layer)))

  it.scoped("of a connection that lives, every ten seconds while it moves; by its address where it has no name", () =>
    Effect.gen(function* () {
      const { address } = yield* Server.serve(
        Server.make({ listen: "127.0.0.1:0", idleTimeout: Duration.infinity, handler: echo })
      )
      const client = yield* Net.connect(address)
      yield* client.write("hello")
      yield* client.readExactly(5)
      expect(yield* figures(String(address))).not.toHaveProperty("bytes_read_total")
      yield* TestClock.adjust("10 seconds")
      expect(yield* figures(String(address))).toMatchObject({ bytes_read_total: 5, bytes_written_total: 5 })
      yield* client.write("again")
      yield* client.readExactly(5)
      yield* TestClock.adjust("10 seconds")
      expect(yield* figures(String(address))).toMatchObject({ bytes_read_total: 10, bytes_written_total: 10 })
      yield* TestClock.adjust("1 hour")
      yield* client.write("at last")
      yield* client.readExactly(7)
      yield* TestClock.adjust("160 seconds")
      expect(yield* figures(String(address))).toMatchObject({ bytes_read_total: 17, bytes_written_total: 17 })
    }).pipe(Effect.provide(MemoryNetwork.layer)))

  it.scoped("of a server of datagrams", () =>
    Effect.gen(function* () {
      yield* Effect.scoped(Effect.gen(function* () {
        const { address } = yield* Server.serve(
          UdpServer.make({ name: "datagrams", listen: "127.0.0.1:0", handler: ({ bytes }) => bytes })
        )
        const client = yield* Udp.connect(address)
        yield* client.send("hello")
        yield* client.receive
      }))
      expect(yield* figures("datagrams")).toEqual({ datagrams_received_total: 1, datagrams_sent_total: 1 })
    }).pipe(Effect.provide(MemoryNetwork.layer)))

  it.scoped("of dials, by outcome", () =>
    Effect.gen(function* () {
      const dials = (outcome: string) =>
        Effect.map(Metric.snapshot, (snapshot) =>
          snapshot.flatMap(({ metricKey, metricState }) =>
            metricKey.name === "netkit_client_dials_total" && metricKey.tags.some(({ value }) =>
                value === outcome
              ) &&
              MetricState.isCounterState(metricState)
              ? [metricState.count]
              : []
          )[0] ?? 0)
      const before = { connected: yield* dials("connected"), refused: yield* dials("ConnectionRefused") }
      const { address } = yield* Server.serve(Server.make({ listen: "127.0.0.1:0", handler: echo }))
      yield* exchange(address, "hello")
      yield* Effect.flip(Net.connect("127.0.0.1:9"))
      expect(yield* dials("connected")).toBe(Number(before.connected) + 1)
      expect(yield* dials("ConnectionRefused")).toBe(Number(before.refused) + 1)
    }).pipe(Effect.provide(MemoryNetwork.layer)))
})

describe("spans", () => {
  it.scoped("are made for each connection where a tracer is set when the server starts", () =>
    Effect.gen(function* () {
      const { spans, tracer } = recording()
      const { address } = yield* Server.serve(Server.make({ name: "traced", listen: "127.0.0.1:0", handler: echo }))
        .pipe(Effect.withTracer(tracer))
      yield* exchange(address, "hello")
      expect(spans.map(({ name }) => name)).toEqual(["netkit.connection"])
      expect(Object.fromEntries(spans[0]!.attributes)).toMatchObject({
        server: "traced",
        "network.transport": "tcp",
        "netkit.bytes_read": 5
      })
    }).pipe(Effect.provide(MemoryNetwork.layer)))

  it.scoped("are not, where none is: the handler runs in no span", () =>
    Effect.gen(function* () {
      const { address } = yield* Server.serve(Server.make({
        listen: "127.0.0.1:0",
        handler: (connection) => Effect.flatMap(Effect.option(Effect.currentSpan), ({ _tag }) => connection.write(_tag))
      }))
      expect(yield* exchange(address, "")).toBe("None")
    }).pipe(Effect.provide(MemoryNetwork.layer)))
})

describe("log lines", () => {
  it.scoped("of a server with a name carry it", () =>
    Effect.gen(function* () {
      const logged: Array<string> = []
      const logger = Logger.make(({ annotations }) => void logged.push(HashMap.toEntries(annotations).join()))
      const { address } = yield* Server.serve(
        Server.make({ name: "named", listen: "127.0.0.1:0", handler: () => Effect.log("here") })
      ).pipe(Effect.provide(Logger.replace(Logger.defaultLogger, logger)), Logger.withMinimumLogLevel(LogLevel.Info))
      yield* exchange(address, "")
      expect(logged).toEqual(["server,named"])
    }).pipe(Effect.provide(MemoryNetwork.layer)))
})
