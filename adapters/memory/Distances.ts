/**
 * How long the addresses of a memory network take to answer a connect, for tests of what tries another meanwhile.
 * Only those that were given a time have one, and only they touch the clock: a test gives its own, such as TestClock's.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FiberId from "effect/FiberId"
import * as Ip from "../../src/internal/ip.ts"
import { duration } from "../../src/internal/options.ts"
import { InvalidOption } from "../../src/NetError.ts"
import type { Cancel, Endpoint } from "../../src/Transport.ts"

interface Distance {
  readonly block: Ip.Block
  readonly time: Duration.Duration
}

export class Distances {
  readonly #distances: ReadonlyArray<Distance>
  readonly #clock: Clock.Clock

  constructor(answersAfter: Readonly<Record<string, Duration.DurationInput>>, clock = Clock.make()) {
    this.#distances = Object.entries(answersAfter).map(([text, time]) => {
      const block = Ip.parseBlock(text)
      if (block !== undefined) return { block, time: duration("answersAfter", time, Duration.zero) }
      throw new InvalidOption({ option: "answersAfter", value: text, expected: "an IP address or a CIDR block" })
    })
    this.#clock = clock
  }

  /** Calls back when what was sent to the host would have arrived and been answered; unless it is cancelled, or never. */
  travel(to: Endpoint, arrived: () => void): Cancel {
    const ip = "path" in to ? undefined : Ip.parse(to.host)
    const distance = ip && this.#distances.find(({ block }) => Ip.contains(block, ip))
    if (distance === undefined) {
      arrived()
      return () => {}
    }
    if (!Duration.isFinite(distance.time)) return () => {}
    const fiber = Effect.runFork(Effect.map(this.#clock.sleep(distance.time), arrived))
    return () => fiber.unsafeInterruptAsFork(FiberId.none)
  }
}
