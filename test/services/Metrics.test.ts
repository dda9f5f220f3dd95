/**
 * Metrics in Prometheus' text form, and the port that tells them.
 */
import { describe, expect, it } from "@effect/vitest"
import { Chunk, Effect, Metric, MetricBoundaries, Stream } from "effect"
import { Net, Server } from "effect-netkit"
import { MemoryNetwork } from "effect-netkit/memory"
import * as MetricsServer from "../../examples/services/metrics/MetricsServer.ts"
import { render } from "../../examples/services/metrics/Prometheus.ts"

const lines = Effect.map(Metric.snapshot, (snapshot) => render(snapshot).split("\n"))

describe("Prometheus", () => {
  it.effect("counters and gauges, a line for each set of labels", () =>
    Effect.gen(function* () {
      const counter = Metric.counter("test_requests_total", { description: "Requests\nof \\ all", incremental: true })
      yield* Metric.incrementBy(Metric.tagged(counter, "method", 'G"ET\n'), 2)
      yield* Metric.increment(Metric.tagged(counter, "method", "PUT"))
      yield* Metric.set(Metric.gauge("test.temperature"), -1.5)
      const text = yield* lines
      const at = text.indexOf("# TYPE test_requests_total counter")
      expect(text[at - 1]).toBe("# HELP test_requests_total Requests\\nof \\\\ all")
      expect(text.slice(at + 1, at + 3).sort()).toEqual([
        'test_requests_total{method="G\\"ET\\n"} 2',
        'test_requests_total{method="PUT"} 1'
      ])
      expect(text).toContain("# TYPE test_temperature gauge")
      expect(text).toContain("test_temperature -1.5")
    }))

  it.effect("histograms with cumulative buckets", () =>
    Effect.gen(function* () {
      const histogram = Metric.histogram("test_seconds", MetricBoundaries.fromIterable([0.1, 1]))
      yield* Effect.forEach([0.05, 0.5, 0.6, 7], (value) => Metric.update(histogram, value))
      const text = yield* lines
      const at = text.indexOf("# TYPE test_seconds histogram")
      expect(text.slice(at + 1, at + 6)).toEqual([
        'test_seconds_bucket{le="0.1"} 1',
        'test_seconds_bucket{le="1"} 3',
        'test_seconds_bucket{le="+Inf"} 4',
        "test_seconds_sum 8.15",
        "test_seconds_count 4"
      ])
    }))

  it.effect("summaries and frequencies", () =>
    Effect.gen(function* () {
      const summary = Metric.summary({
        name: "test_sizes",
        maxAge: "1 day",
        maxSize: 100,
        error: 0.01,
        quantiles: [0.5]
      })
      yield* Metric.update(summary, 3)
      yield* Metric.update(Metric.frequency("test_colours"), "red")
      const text = yield* lines
      expect(text).toContain('test_sizes{quantile="0.5"} 3')
      expect(text).toContain("test_sizes_count 1")
      expect(text).toContain('test_colours{value="red"} 1')
    }))
})

describe("the port", () => {
  const ask = (request: string) =>
    Effect.gen(function* () {
      const { address } = yield* Server.serve(
        Server.make({ listen: "127.0.0.1:0", handler: MetricsServer.handler })
      )
      const connection = yield* Net.connect(address)
      yield* connection.write(request)
      yield* connection.shutdown
      return Chunk.join(yield* Stream.runCollect(Stream.decodeText(connection.stream)), "")
    }).pipe(Effect.scoped, Effect.provide(MemoryNetwork.layer))

  it.live("answers HTTP in HTTP", () =>
    Effect.gen(function* () {
      yield* Metric.set(Metric.gauge("test_port"), 7)
      const [head, body] = (yield* ask("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")).split("\r\n\r\n")
      expect(head).toMatch(/^HTTP\/1\.1 200 OK\r\nContent-Type: text\/plain; version=0\.0\.4/)
      expect(body).toMatch(/^test_port 7$/m)
      expect(head).toContain(`Content-Length: ${new TextEncoder().encode(body).length}`)
    }))

  it.live("and plain text to everybody else", () =>
    Effect.gen(function* () {
      yield* Metric.set(Metric.gauge("test_port"), 7)
      for (const request of ["", "metrics\n", "\0\0"]) expect(yield* ask(request)).toMatch(/^test_port 7$/m)
    }))

  it.live("knows no other page, no other method and no endless head", () =>
    Effect.gen(function* () {
      expect(yield* ask("GET /other HTTP/1.1\r\n\r\n")).toMatch(/^HTTP\/1\.1 404 /)
      expect(yield* ask("POST /metrics HTTP/1.1\r\n\r\n")).toMatch(/^HTTP\/1\.1 405 /)
      expect(yield* ask(`GET /metrics HTTP/1.1\r\nA: ${"a".repeat(9000)}`)).toMatch(/^HTTP\/1\.1 431 /)
      expect(yield* ask("HEAD /metrics HTTP/1.1\r\n\r\n")).toMatch(/^HTTP\/1\.1 200 [^]*\r\n\r\n$/)
    }))
})
