/**
 * Opening datagram sockets: `bind` talks to anyone, `connect` to one peer, `request` asks over either and waits for the
 * answer. Everything opened lives in the Scope and is closed with it. Datagrams keep their borders, and may get lost,
 * doubled or overtaken. Options are checked first: a wrong one fails with `InvalidOption`, one that the runtime cannot
 * honour with `Unsupported`.
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as internal from "./internal/datagramBind.ts"
import type { UdpOptions } from "./internal/datagramOptions.ts"
import type { DatagramSocketImpl } from "./internal/datagramSocket.ts"
import * as Options from "./internal/options.ts"
import { type BindError, type ConnectError, type DatagramError, InvalidOption, type ReadTimeout } from "./NetError.ts"
import type { Network } from "./Network.ts"
import type { AddressInput } from "./SocketAddress.ts"
import type { Datagram, UdpConnection, UdpSocket } from "./UdpSocket.ts"

export type {
  /**
   * @category options
   */
  UdpConnectOptions
} from "./internal/datagramBind.ts"
export type {
  /**
   * @category options
   */
  MulticastOptions,
  /**
   * @category options
   */
  UdpOptions,
  /**
   * @category options
   */
  UdpSettings
} from "./internal/datagramOptions.ts"

/**
 * Opens a socket on an address of this machine. Port 0 takes a free port; `address` of the socket tells which.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Udp } from "effect-netkit"
 *
 * const echo = Effect.scoped(Effect.gen(function*() {
 *   const socket = yield* Udp.bind({ host: "0.0.0.0", port: 7777 })
 *   while (true) {
 *     const { bytes, from } = yield* socket.receive
 *     yield* socket.send(bytes, from)
 *   }
 * }))
 * ```
 *
 * @category constructors
 */
export const bind = (
  address: AddressInput,
  options: UdpOptions = {}
): Effect.Effect<UdpSocket, BindError, Network | Scope.Scope> => internal.bind(address, options)

/**
 * Opens a socket with one peer. Nothing is sent and nothing answers: that there is nobody is found out by a later send,
 * whose `ConnectionRefused` the next `receive` or `send` fails with where the runtime tells (see the support table).
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Udp } from "effect-netkit"
 *
 * const temperature = Effect.scoped(Effect.gen(function*() {
 *   const sensor = yield* Udp.connect("sensor.example:9999")
 *   yield* sensor.send("temperature?")
 *   const { bytes } = yield* sensor.receive
 *   return new TextDecoder().decode(bytes)
 * })).pipe(Effect.timeout("3 seconds"))
 * ```
 *
 * @category constructors
 */
export const connect = (
  address: AddressInput,
  options: internal.UdpConnectOptions = {}
): Effect.Effect<UdpConnection, ConnectError, Network | Scope.Scope> =>
  internal.connect(address, options) as Effect.Effect<
    UdpConnection & DatagramSocketImpl,
    ConnectError,
    Network | Scope.Scope
  >

/**
 * How to ask.
 *
 * @category options
 */
export interface RequestOptions<R = never> {
  /** Which datagram is the answer, by an identifier in it for one. Default: the first to come. */
  readonly matches?: ((datagram: Datagram) => boolean) | undefined
  /**
   * Who may answer. Default: `"peer"`, the address asked; `"anyone"` where that is a multicast group. A broadcast wants
   * `"anyone"`.
   */
  readonly from?: "peer" | "anyone" | undefined
  /**
   * When to send again while there is no answer; its delays run from one transmission to the next.
   * Default: after 1 second, then 2, 4, ... (RFC 8085, 3.1.1).
   */
  readonly schedule?: Schedule.Schedule<unknown, ReadTimeout, R> | undefined
  /** How long to wait for the answer, all transmissions included. Default 10 seconds. */
  readonly timeout?: Duration.DurationInput | undefined
}

/**
 * Sends a request and gives the answer. It is sent again by `schedule` until the answer comes, or `timeout` is over:
 * `ReadTimeout`.
 *
 * Requests may be under way side by side on one socket; each takes its own answer, and what answers none of them can be
 * received as ever. Answers to the transmissions but one are dropped when they come late, for as long as `timeout`, a
 * minute at most: without `matches` those of the same bytes. With `matches` so are duplicates that the network makes, of
 * the last 64 answers. A refusal that the network reports for a connected peer
 * fails the request at once.
 *
 * @example
 * ```ts
 * import { Effect, Schedule } from "effect"
 * import { Udp, type UdpSocket } from "effect-netkit"
 *
 * const ask = (socket: UdpSocket.UdpSocket, id: number) =>
 *   Udp.request(socket, "127.0.0.1:5353", Uint8Array.of(id, 1), {
 *     matches: ({ bytes }) => bytes[0] === id,
 *     schedule: Schedule.spaced("500 millis").pipe(Schedule.intersect(Schedule.recurs(3))),
 *     timeout: "5 seconds"
 *   }).pipe(Effect.map(({ bytes }) => bytes.subarray(1)))
 * ```
 *
 * @category requests
 */
export const request: {
  <R = never>(
    socket: UdpSocket,
    to: AddressInput,
    message: Uint8Array | string,
    options?: RequestOptions<R>
  ): Effect.Effect<Datagram, DatagramError | ReadTimeout, R>
  <R = never>(
    connection: UdpConnection,
    message: Uint8Array | string,
    options?: RequestOptions<R>
  ): Effect.Effect<Datagram, DatagramError | ReadTimeout, R>
} = <R>(socket: UdpSocket | UdpConnection, ...rest: ReadonlyArray<unknown>) => {
  const self = socket as unknown as DatagramSocketImpl
  const [to, message, options] = (self.remoteAddress === undefined ? rest : [undefined, ...rest]) as [
    AddressInput | undefined,
    Uint8Array | string,
    RequestOptions<R> | undefined
  ]
  return Effect.gen(function* () {
    const resolved = yield* Options.valid(() => resolveRequest(options ?? {}))
    const prepared = self.outbound.prepare(message, to)
    const datagram = Effect.isEffect(prepared) ? yield* prepared : prepared
    const transmit = Effect.suspend(() => self.outbound.transmit(datagram))
    return yield* self.requests.run(datagram.to ?? self.remoteAddress!, transmit, resolved)
  })
}

const backOff: Schedule.Schedule<unknown> = Schedule.exponential("1 second")

const resolveRequest = <R>({ from, matches, schedule, timeout }: RequestOptions<R>) => {
  if (from !== undefined && from !== "peer" && from !== "anyone") {
    throw new InvalidOption({ option: "from", value: from, expected: '"peer" or "anyone"' })
  }
  return { from, matches, schedule: schedule ?? backOff, timeout: Options.duration("timeout", timeout, "10 seconds") }
}
