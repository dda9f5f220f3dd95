/**
 * What properties are made from: a connected pair, a listening address, patterned bytes, and waiting without looking at
 * a clock. Both ends of a pair close together with the scope, so that neither waits for the other. Where to listen is a
 * setting, so that the same properties run over IPv4, IPv6 and Unix sockets.
 */
import * as Chunk from "effect/Chunk"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestContext from "effect/TestContext"
import type { Connection } from "../../src/Connection.ts"
import * as Net from "../../src/Net.ts"
import { AddressNotAvailable, type BindError, type ConnectError, Unknown } from "../../src/NetError.ts"
import type { DatagramReceiveError, ReadError, WriteError } from "../../src/NetError.ts"
import { Network } from "../../src/Network.ts"
import * as Server from "../../src/Server.ts"
import type { AddressInput } from "../../src/SocketAddress.ts"
import * as Udp from "../../src/Udp.ts"
import type { Datagram, Socket, UdpSocket } from "../../src/UdpSocket.ts"
import type { Capability } from "../../src/Transport.ts"
import { equal, fail, type PropertyFailure } from "./assert.ts"

/**
 * Where properties listen: each listener asks for an address of its own, by default a free port of 127.0.0.1.
 * `lacks` are the capabilities that this kind of address has not, whatever the transport can do elsewhere.
 */
export class Venue extends Context.Reference<Venue>()("effect-netkit/testing/Venue", {
  defaultValue: (): { readonly address: Effect.Effect<AddressInput>; readonly lacks: ReadonlyArray<Capability> } => ({
    address: Effect.succeed({ host: "127.0.0.1", port: 0 }),
    lacks: []
  })
}) {}

const freeAddress: Effect.Effect<AddressInput> = Effect.flatMap(Venue, ({ address }) => address)

/** What only the host of the suite can measure: open descriptors, and memory in bytes. */
export class Gauges extends Context.Reference<Gauges>()("effect-netkit/testing/Gauges", {
  defaultValue: (): {
    readonly descriptors?: Effect.Effect<number> | undefined
    readonly memory?: Effect.Effect<number> | undefined
  } => ({})
}) {}

/** More than any kernel holds for a connection: a message of this size waits until the peer reads. */
export const unbuffered = 32 * 1024 * 1024

export const listen = (options?: Net.ListenOptions): Effect.Effect<Net.Listener, BindError, Network | Scope.Scope> =>
  Effect.flatMap(freeAddress, (address) => Net.listen(address, options))

export const serve = <E, R>(
  handler: (connection: Connection) => Effect.Effect<unknown, E, R>,
  options?: Partial<Server.ServerOptions<E, R>>
): Effect.Effect<Server.Running, BindError, Network | Scope.Scope | Exclude<R, Scope.Scope>> =>
  Effect.flatMap(
    freeAddress,
    (address) => Server.serve(Server.make({ listen: address, handler, drainTimeout: "1 second", ...options }))
  )

export interface Pair {
  readonly listener: Net.Listener
  readonly client: Connection
  readonly server: Connection
}

/** A connection's two ends. */
export const pair = (options: {
  readonly client?: Net.ConnectOptions
  readonly server?: Net.ListenOptions
} = {}): Effect.Effect<Pair, ConnectError | BindError | PropertyFailure, Network | Scope.Scope> =>
  Effect.gen(function* () {
    const listener = yield* listen(options.server)
    const [clientEnd, serverEnd] = yield* Effect.all([Scope.make(), Scope.make()])
    yield* Effect.addFinalizer(() =>
      Effect.all([Scope.close(clientEnd, Exit.void), Scope.close(serverEnd, Exit.void)], { concurrency: 2 })
    )
    const [client, server] = yield* Effect.all([
      Net.connect(listener.address, options.client).pipe(Scope.extend(clientEnd)),
      listener.accept.pipe(Scope.extend(serverEnd), Effect.catchAll((error) => fail(error.message, error)))
    ], { concurrency: 2 })
    return { listener, client, server }
  })

/** A pair whose ends can send RST; for properties that need the capability `reset`. */
export const resettablePair = pair({ client: { resettable: true }, server: { resettable: true } })

/** A free port of the loopback, for datagrams. */
export const local = { host: "127.0.0.1", port: 0 }

/** What needs an address, or a family of addresses, that not every machine has. */
export const whereThereIsOne = <A, E, R>(self: Effect.Effect<A, E | BindError | ConnectError, R>) =>
  Effect.catchIf(
    self,
    (error) => error instanceof AddressNotAvailable || (error instanceof Unknown && error.code === "EAFNOSUPPORT"),
    () => Effect.void
  )

/** Two datagram sockets of the loopback. */
export const two = (
  options?: Udp.UdpOptions
): Effect.Effect<[UdpSocket, UdpSocket], BindError, Network | Scope.Scope> =>
  Effect.all([Udp.bind(local), Udp.bind(local, options)])

/** The next datagrams, so many. */
export const take = (socket: Socket, count: number): Effect.Effect<ReadonlyArray<Datagram>, DatagramReceiveError> =>
  Effect.map(Stream.runCollect(Stream.take(socket.datagrams, count)), Chunk.toReadonlyArray)

/** Datagrams as text. */
export const said = (datagrams: ReadonlyArray<Datagram>): string => datagrams.map(({ bytes }) => text(bytes)).join()

/** That no datagram waits, which takes a little while to be sure of. */
export const nothing = (socket: Socket, when: string): Effect.Effect<void, PropertyFailure> =>
  Effect.gen(function* () {
    yield* pause(50)
    yield* equal((yield* socket.stats).queued, 0, `datagrams that wait ${when}`)
  })

/** Pseudo-random bytes: the same for the same seed (xorshift32, Marsaglia 2003). */
export const pattern = (size: number, seed = 1): Uint8Array => {
  const words = new Uint32Array(Math.ceil(size / 4))
  let x = (seed * 2654435761) >>> 0 || 1
  for (let i = 0; i < words.length; i++) {
    x ^= x << 13
    x ^= x >>> 17
    x ^= x << 5
    words[i] = x
  }
  return new Uint8Array(words.buffer, 0, size)
}

export const concat = (chunks: ReadonlyArray<Uint8Array>): Uint8Array => {
  const out = new Uint8Array(chunks.reduce((size, chunk) => size + chunk.length, 0))
  let at = 0
  for (const chunk of chunks) {
    out.set(chunk, at)
    at += chunk.length
  }
  return out
}

/** Hands every chunk over as it comes, until the peer's end of stream. */
export const readEach = (connection: Connection, f: (chunk: Uint8Array) => void): Effect.Effect<void, ReadError> => {
  const loop: Effect.Effect<void, ReadError> = Effect.flatMap(connection.read, (chunk) => {
    if (Option.isNone(chunk)) return Effect.void
    f(chunk.value)
    return loop
  })
  return loop
}

/** All bytes until the peer's end of stream. */
export const readAll = (connection: Connection): Effect.Effect<Uint8Array, ReadError> =>
  Effect.suspend(() => {
    const chunks: Array<Uint8Array> = []
    return Effect.map(readEach(connection, (chunk) => chunks.push(chunk)), () => concat(chunks))
  })

/** The number of bytes until the peer's end of stream. */
export const drain = (connection: Connection): Effect.Effect<number, ReadError> =>
  Effect.suspend(() => {
    let size = 0
    return Effect.map(readEach(connection, (chunk) => size += chunk.length), () => size)
  })

/** Writes the bytes as messages of `size` bytes. */
export const writeIn = (connection: Connection, bytes: Uint8Array, size: number): Effect.Effect<void, WriteError> =>
  Effect.iterate(0, {
    while: (at) => at < bytes.length,
    body: (at) => Effect.as(connection.write(bytes.subarray(at, at + size)), at + size)
  })

/** Sends everything back, and the end of stream too. */
export const echo = (connection: Connection): Effect.Effect<void, ReadError | WriteError> => {
  const loop: Effect.Effect<void, ReadError | WriteError> = Effect.flatMap(
    connection.read,
    (chunk) => Option.isNone(chunk) ? connection.shutdown : Effect.zipRight(connection.write(chunk.value), loop)
  )
  return loop
}

export const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes)

/** Lets every fiber that can go on do so, without letting time pass. */
export const yieldAll: Effect.Effect<void> = Effect.yieldNow().pipe(Effect.repeatN(20))

/** Waits until the condition holds, at most 5 seconds of real time. */
export const eventually = (
  condition: () => boolean,
  message: string | (() => string)
): Effect.Effect<void, PropertyFailure> =>
  Effect.gen(function* () {
    for (let round = 0; !condition(); round++) {
      if (round === 500) return yield* fail(typeof message === "string" ? message : message())
      yield* pause(10)
    }
  })

/** The figure once it stands still: unchanged over a fifth of a second. */
export const standstill = <E, R>(figure: Effect.Effect<number, E, R>): Effect.Effect<number, E, R> =>
  Effect.gen(function* () {
    let last = yield* figure
    for (let same = 0; same < 10; same++) {
      yield* pause(20)
      const next = yield* figure
      if (next !== last) same = 0
      last = next
    }
    return last
  })

/**
 * Under a TestClock of its own, and in a fiber of its own: a TestContext stays behind in the fiber it was provided in.
 * The effect's scope is its own too, so that what it opens closes by the same clock.
 */
export const underTestClock = <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, Exclude<R, Scope.Scope>> =>
  Effect.acquireUseRelease(
    Effect.fork(Effect.interruptible(Effect.provide(Effect.scoped(self), TestContext.TestContext))),
    Fiber.await,
    Fiber.interrupt
  ).pipe(Effect.flatten)

/** Real milliseconds, also under a TestClock: sockets do not live by it. */
export const pause = (millis: number): Effect.Effect<void> =>
  Effect.async<void>((resume) => {
    const timer = setTimeout(() => resume(Effect.void), millis)
    return Effect.sync(() => clearTimeout(timer))
  })
