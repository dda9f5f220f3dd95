/**
 * Every Effect `Metric` that the SDK keeps, named once. They are ordinary metrics: `Metric.value` reads one, `Metric.snapshot` all of them.
 * Those of servers carry the label `server`, the server's `name`; a message or a chunk never touches a metric, a connection a handful.
 */
import * as Metric from "effect/Metric"
import * as MetricBoundaries from "effect/MetricBoundaries"

const counter = (name: string, description: string): Metric.Metric.Counter<number> =>
  Metric.counter(name, { description, incremental: true })

/**
 * Connections that are open, from the start of their handler until their descriptor is released.
 *
 * @category servers
 */
export const connectionsActive: Metric.Metric.Gauge<number> = Metric.gauge("netkit_server_connections_active", {
  description: "Connections that are open"
})

/**
 * Connections whose handler was started.
 *
 * @category servers
 */
export const connectionsOpened: Metric.Metric.Counter<number> = counter(
  "netkit_server_connections_opened_total",
  "Connections whose handler was started"
)

/**
 * Connections that were reset before they had a handler, by `reason`: those of `Server.RejectReason`.
 *
 * @category servers
 */
export const connectionsRejected: Metric.Metric.Counter<number> = counter(
  "netkit_server_connections_rejected_total",
  "Connections that were reset before they had a handler, by reason"
)

/**
 * Connections that have ended, by `reason`: those of `Server.EndReason`, of which `failed` counts the handlers that failed.
 *
 * @category servers
 */
export const connectionsEnded: Metric.Metric.Counter<number> = counter(
  "netkit_server_connections_ended_total",
  "Connections that have ended, by reason"
)

/**
 * Bytes that clients have sent. Counted when a connection ends, and while it lives every ten seconds in which something
 * moves; after a quiet time it may take up to 160.
 *
 * @category servers
 */
export const bytesRead: Metric.Metric.Counter<number> = counter(
  "netkit_server_bytes_read_total",
  "Bytes that clients have sent"
)

/**
 * Bytes written to clients. Counted as those read.
 *
 * @category servers
 */
export const bytesWritten: Metric.Metric.Counter<number> = counter(
  "netkit_server_bytes_written_total",
  "Bytes written to clients"
)

/**
 * Seconds that handlers took.
 *
 * @category servers
 */
export const handlerDuration: Metric.Metric.Histogram<number> = Metric.histogram(
  "netkit_server_handler_duration_seconds",
  MetricBoundaries.fromIterable([0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 60, 300, 1800]),
  "Seconds that handlers took"
)

/**
 * Datagrams that have come to a `UdpServer`, dropped ones included. Counted at its end, and before that as
 * `bytesRead` is.
 *
 * @category servers
 */
export const datagramsReceived: Metric.Metric.Counter<number> = counter(
  "netkit_server_datagrams_received_total",
  "Datagrams that have come"
)

/**
 * Datagrams that a `UdpServer` has sent. Counted as those received.
 *
 * @category servers
 */
export const datagramsSent: Metric.Metric.Counter<number> = counter(
  "netkit_server_datagrams_sent_total",
  "Datagrams sent"
)

/**
 * Datagrams that found the queue of a `UdpServer` full, or made room in it. Counted as those received.
 *
 * @category servers
 */
export const datagramsDropped: Metric.Metric.Counter<number> = counter(
  "netkit_server_datagrams_dropped_total",
  "Datagrams dropped by a full queue"
)

/**
 * Dials, by `outcome`: `connected`, or the tag of the error. Each attempt of a retry counts; those at the addresses of one name are one.
 *
 * @category clients
 */
export const dials: Metric.Metric.Counter<number> = counter("netkit_client_dials_total", "Dials, by outcome")

/**
 * Frames that were dropped for their size, under `onTooLarge: "skip"`, by `Framed`, servers of messages and the combinators of `Framing`; what a
 * `Decoder` at hand has dropped is in its own `skipped`.
 *
 * @category framing
 */
export const skippedFrames: Metric.Metric.Counter<number> = counter(
  "netkit_frames_skipped_total",
  "Frames that were dropped for their size"
)
