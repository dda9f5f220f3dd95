/**
 * What a SOCKS 5 proxy does with its connections, to give to `Server.make`: a handshake within a deadline, a dial, a relay.
 * CONNECT is all it does. A client that breaks the protocol or leaves in the middle of it ends its own connection and nothing else.
 */
import { type Connection, Framed, NetError, SocketAddress } from "effect-netkit"
import * as Console from "effect/Console"
import * as Data from "effect/Data"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Tunnel from "../../lib/Tunnel.ts"
import * as Destination from "./Destination.ts"
import * as Socks5 from "./Socks5.ts"

export interface Options extends Destination.Rules {
  /** Who may use the proxy; without them, everybody. */
  readonly credentials: Socks5.Credentials | undefined
  /** How long a client may take until its request is complete. */
  readonly handshakeTimeout: Duration.Duration
  readonly connectTimeout: Duration.Duration
}

export const makeHandler = (options: Options) => (client: Connection.Connection) =>
  Effect.gen(function* () {
    const { request, session } = yield* handshake(client, options)
    const peer = SocketAddress.unmap(client.remoteAddress)
    const refuse = (refusal: Refusal) =>
      Effect.zipRight(Console.log(`${peer} refused: ${refusal.message}`), session.send({ code: codes[refusal._tag] }))
    const relay = (server: Connection.Connection) =>
      Effect.gen(function* () {
        yield* Console.log(`${peer} connected to ${SocketAddress.unmap(server.remoteAddress)}`)
        yield* session.send({ code: "succeeded", bound: SocketAddress.unmap(server.localAddress) })
        yield* Tunnel.join(yield* session.unwrap, server)
      })
    yield* Effect.matchEffect(dial(request, options), { onFailure: refuse, onSuccess: relay })
    // A client that has left, or was sent away, in the middle of its handshake.
  }).pipe(Effect.catchTag("NoSuchElementException", () => Effect.void))

// --- the handshake ---

const handshake = (client: Connection.Connection, { credentials, handshakeTimeout: timeout }: Options) =>
  Effect.gen(function* () {
    const hello = Framed.make(client, Socks5.greeting)
    const method = credentials === undefined ? "none" : "password"
    const offered = Socks5.offers(yield* Effect.flatten(hello.receive), method)
    yield* hello.send(offered ? method : "unacceptable")
    if (!offered) return yield* Option.none()
    const session = credentials === undefined
      ? yield* hello.swap(Socks5.request)
      : yield* authenticate(yield* hello.swap(Socks5.authentication), credentials)
    return { session, request: yield* Effect.flatten(session.receive) }
  }).pipe(
    Effect.timeoutFail({
      duration: timeout,
      onTimeout: () => new NetError.ReadTimeout({ operation: "read", address: client.remoteAddress, timeout })
    })
  )

const authenticate = (client: Framed.Framed<Socks5.Credentials, boolean>, wanted: Socks5.Credentials) =>
  Effect.gen(function* () {
    const given = yield* Effect.flatten(client.receive)
    const right = same(given.name, wanted.name) && same(given.password, wanted.password)
    yield* client.send(right)
    return right ? yield* client.swap(Socks5.request) : yield* Option.none()
  })

/** How long it takes does not tell where two texts differ. */
const same = (given: string, wanted: string): boolean => {
  let difference = given.length ^ wanted.length
  for (let i = 0; i < given.length; i++) difference |= given.charCodeAt(i) ^ wanted.charCodeAt(i % wanted.length)
  return difference === 0
}

// --- the destination ---

const dial = ({ command, destination }: Socks5.Request, options: Options) =>
  command === "connect"
    ? Effect.flatMap(destination, (address) => Destination.connect(address, options, options.connectTimeout))
    : Effect.fail(new Unwanted({ command }))

class Unwanted extends Data.TaggedError("Unwanted")<{ readonly command: Socks5.Request["command"] }> {
  override get message(): string {
    return `command ${this.command ?? "unknown"}`
  }
}

type Refusal = Effect.Effect.Error<ReturnType<typeof dial>>

/** Every way in which a dial can fail, as the client is told. */
const codes: Readonly<Record<Refusal["_tag"], Socks5.Code>> = {
  Unwanted: "command not supported",
  AddressTypeUnknown: "address type not supported",
  NotAllowed: "not allowed",
  PermissionDenied: "not allowed",
  NetworkUnreachable: "network unreachable",
  AddressNotAvailable: "network unreachable",
  HostUnreachable: "host unreachable",
  NameNotFound: "host unreachable",
  InvalidOption: "host unreachable",
  ConnectionRefused: "connection refused",
  ConnectionReset: "connection refused",
  ConnectTimeout: "timed out",
  AddressInUse: "general failure",
  ResourceExhausted: "general failure",
  PathNotFound: "general failure",
  Unsupported: "general failure",
  Unknown: "general failure"
}
