/**
 * The requests of one socket that wait for an answer, and what is remembered of those that have had it. An answer goes
 * to the request it belongs to and to nobody else; answers to its other transmissions, and duplicates that the network
 * has made, are dropped when they come late.
 * All else is none of its business and stays receivable.
 */
import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Schedule from "effect/Schedule"
import * as NetError from "../NetError.ts"
import { type InetAddress, isMulticast, unmap } from "../SocketAddress.ts"
import type { Datagram } from "../UdpSocket.ts"
import { type Resume, wake } from "./turn.ts"

type Answered = Exit.Exit<Datagram, NetError.DatagramError>

/** Milliseconds for which late answers are dropped, at most. */
const longestMemory = 60_000

/** Of how many requests whose transmissions have all been answered the network's own duplicates are dropped. */
const remembered = 64

/** A request under way, and for a while after. */
class Request {
  /** Transmissions that have not been answered. */
  unanswered = 0
  answer: Datagram | undefined
  resume: Resume<Datagram, NetError.DatagramError> | undefined
  settled: Answered | undefined
  /** When its late answers are forgotten, in milliseconds of the clock. */
  until = Infinity
  /** For how many milliseconds after its end. */
  readonly memory: number
  readonly #from: InetAddress | undefined
  readonly #matches: ((datagram: Datagram) => boolean) | undefined

  constructor(from: InetAddress | undefined, matches: ((datagram: Datagram) => boolean) | undefined, memory: number) {
    this.#from = from
    this.#matches = matches
    this.memory = memory
  }

  settle(exit: Answered): void {
    if (this.settled !== undefined) return
    this.settled = exit
    if (this.resume !== undefined) wake(this.resume, exit)
  }

  /** A `matches` that throws is a defect of the request, not of whoever reports the datagram. */
  accepts(datagram: Datagram): boolean {
    if (!this.#isFrom(datagram.from)) return false
    try {
      return this.#matches === undefined || this.#matches(datagram)
    } catch (defect) {
      this.settle(Exit.die(defect))
      return false
    }
  }

  /** Without `matches` nothing but its bytes tells a late answer from something else that the peer has to say. */
  repeats(datagram: Datagram): boolean {
    return this.accepts(datagram) && (this.#matches !== undefined || sameBytes(datagram, this.answer))
  }

  /** A duplicate that the network has made is told from an answer to the next request by `matches` alone. */
  get mayBeRepeated(): boolean {
    return this.#matches === undefined
      ? this.unanswered > 0 && this.answer !== undefined
      : this.unanswered > 0 || this.answer !== undefined
  }

  #isFrom(sender: InetAddress): boolean {
    return this.#from === undefined || isSame(this.#from, sender)
  }
}

export class Requests {
  readonly #clock: Clock.Clock
  readonly #waiting = new Set<Request>()
  readonly #past = new Set<Request>()
  /** Those of the past that nothing is to come for any more, the oldest first. */
  readonly #done: Array<Request> = []

  constructor(clock: Clock.Clock) {
    this.#clock = clock
  }

  /** Takes a datagram that is an answer, or the late repetition of one. */
  take(datagram: Datagram): boolean {
    if (this.#waiting.size === 0 && this.#past.size === 0) return false
    for (const request of this.#waiting) {
      if (!request.accepts(datagram)) continue
      request.unanswered--
      request.answer = datagram
      this.#retire(request)
      request.settle(Exit.succeed(datagram))
      return true
    }
    return this.#isLate(datagram)
  }

  #isLate(datagram: Datagram): boolean {
    const now = this.#clock.unsafeCurrentTimeMillis()
    for (const request of this.#past) {
      if (request.until <= now) this.#past.delete(request)
      else if (request.repeats(datagram)) {
        if (--request.unanswered === 0) this.#remember(request)
        return true
      }
    }
    return false
  }

  /** The network, or the end of the socket, answers for the peer. */
  fail(error: NetError.DatagramError): boolean {
    if (this.#waiting.size === 0) return false
    for (const request of this.#waiting) request.settle(Exit.fail(error))
    return true
  }

  /** Sends, and again by the schedule, until the answer comes or the time is up. */
  run<R>(
    peer: InetAddress,
    transmit: Effect.Effect<void, NetError.DatagramError>,
    options: {
      readonly from: "peer" | "anyone" | undefined
      readonly matches: ((datagram: Datagram) => boolean) | undefined
      readonly schedule: Schedule.Schedule<unknown, NetError.ReadTimeout, R>
      readonly timeout: Duration.Duration
    }
  ): Effect.Effect<Datagram, NetError.DatagramError | NetError.ReadTimeout, R> {
    const { matches, schedule, timeout } = options
    const silence = new NetError.ReadTimeout({ operation: "receive", address: peer, timeout })
    return Effect.suspend(() => {
      const anyone = (options.from ?? (isMulticast(peer) ? "anyone" : "peer")) === "anyone"
      const request = new Request(
        anyone ? undefined : peer,
        matches,
        Math.min(Duration.toMillis(timeout), longestMemory)
      )
      this.#waiting.add(request)
      const answer = Effect.async<Datagram, NetError.DatagramError>((resume) => {
        if (request.settled === undefined) request.resume = resume
        else resume(request.settled)
      })
      const once = Effect.suspend(() => {
        request.unanswered++
        return Effect.as(transmit, silence)
      })
      return Effect.raceFirst(answer, Effect.zipRight(Effect.repeat(once, schedule), Effect.never)).pipe(
        Effect.timeoutFail({ duration: timeout, onTimeout: () => silence }),
        Effect.ensuring(Effect.sync(() => this.#retire(request)))
      )
    })
  }

  /** It wants no more; what may still come for it is dropped for a while. */
  #retire(request: Request): void {
    if (!this.#waiting.delete(request)) return
    const now = this.#clock.unsafeCurrentTimeMillis()
    for (const past of this.#past) {
      if (past.until > now) break
      this.#past.delete(past)
    }
    if (!request.mayBeRepeated) return
    request.until = now + request.memory
    this.#past.add(request)
    if (request.unanswered === 0) this.#remember(request)
  }

  /** Forgets an older one instead, or who cannot tell its duplicates. */
  #remember(request: Request): void {
    if (request.mayBeRepeated) this.#done.push(request)
    else this.#past.delete(request)
    if (this.#done.length > remembered) this.#past.delete(this.#done.shift()!)
  }
}

const sameBytes = (a: Datagram, b: Datagram | undefined): boolean =>
  b !== undefined && a.bytes.length === b.bytes.length && a.bytes.every((byte, i) => byte === b.bytes[i])

/** As the same host and port; the scope id, which not every runtime tells, does not count. */
export const isSame = (a: InetAddress, b: InetAddress): boolean =>
  a.port === b.port && (a.host === b.host || bare(a) === bare(b))

const bare = (address: InetAddress): string => String(unmap(address)).replace(/%[^\]]*/, "")
