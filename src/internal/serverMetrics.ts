/**
 * What a server tells the metrics: a few additions a connection, none a message. Bytes and datagrams are counted where they are anyway, and
 * brought over from time to time.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Metric from "effect/Metric"
import * as MetricLabel from "effect/MetricLabel"
import type * as Scope from "effect/Scope"
import * as NetMetrics from "../NetMetrics.ts"
import type { RejectReason } from "./rejections.ts"
import type { EndReason } from "./session.ts"

type Labels = ReadonlyArray<MetricLabel.MetricLabel>

/** Figures of a connection, which only grow. */
export interface Traffic {
  readonly read: number
  readonly written: number
}

/** Figures of a datagram socket, which only grow. */
export interface Datagrams {
  readonly received: number
  readonly sent: number
  readonly dropped: number
}

export class ServerMetrics {
  readonly #server: MetricLabel.MetricLabel
  // A metric remembers its state for an array of labels, so there is one array for each.
  readonly #labels: Labels
  readonly #byReason = new Map<string, Labels>()

  constructor(server: string) {
    this.#server = MetricLabel.make("server", server)
    this.#labels = [this.#server]
  }

  opened(): void {
    NetMetrics.connectionsOpened.unsafeUpdate(1, this.#labels)
    NetMetrics.connectionsActive.unsafeModify(1, this.#labels)
  }

  rejected(reason: RejectReason): void {
    NetMetrics.connectionsRejected.unsafeUpdate(1, this.#labelsOf(reason))
  }

  handled(millis: number): void {
    NetMetrics.handlerDuration.unsafeUpdate(millis / 1000, this.#labels)
  }

  ended(reason: EndReason): void {
    NetMetrics.connectionsActive.unsafeModify(-1, this.#labels)
    NetMetrics.connectionsEnded.unsafeUpdate(1, this.#labelsOf(reason))
  }

  /** What has come since `before`. Whether anything has. */
  traffic(now: Traffic, before: Traffic): boolean {
    const read = this.#add(NetMetrics.bytesRead, now.read - before.read)
    return this.#add(NetMetrics.bytesWritten, now.written - before.written) || read
  }

  /** What has come since `before`. Whether anything has. */
  datagrams(now: Datagrams, before: Datagrams): boolean {
    const received = this.#add(NetMetrics.datagramsReceived, now.received - before.received)
    this.#add(NetMetrics.datagramsDropped, now.dropped - before.dropped)
    return this.#add(NetMetrics.datagramsSent, now.sent - before.sent) || received
  }

  #add(metric: Metric.Metric.Counter<number>, count: number): boolean {
    if (count > 0) metric.unsafeUpdate(count, this.#labels)
    return count > 0
  }

  #labelsOf(reason: string): Labels {
    const known = this.#byReason.get(reason)
    if (known !== undefined) return known
    const labels = [this.#server, MetricLabel.make("reason", reason)]
    this.#byReason.set(reason, labels)
    return labels
  }
}

const soonest = Duration.seconds(10)
const latest = Duration.seconds(160)

/**
 * Brings figures over every ten seconds while they move, less and less often (to every 160) while they do not, and when the scope closes.
 * `bringOver` tells whether they have moved.
 */
export const regularly = (bringOver: () => boolean): Effect.Effect<void, never, Scope.Scope> => {
  const once = Effect.sync(bringOver)
  const loop = (pause: Duration.Duration): Effect.Effect<never> =>
    Effect.flatMap(
      Effect.zipRight(Effect.sleep(pause), once),
      (moved) => loop(moved ? soonest : Duration.min(Duration.times(pause, 2), latest))
    )
  return Effect.zipRight(
    Effect.addFinalizer(() => once),
    Effect.forkScoped(Effect.interruptible(loop(soonest)))
  )
}
