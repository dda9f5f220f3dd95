/**
 * The seam between the SDK and a runtime: verbs down, callbacks up, no Effect and no policy.
 * The core owns queues, waiting, interruption, timeouts and error types; an adapter owns only I/O.
 * An adapter promises to call `onClose` exactly once for every handle it hands out, whatever happens.
 */
import type { BindDatagramEvents, DatagramRequest } from "./DatagramTransport.ts"
import type { ErrorKind } from "./ErrorKind.ts"

/** Where a stream socket is bound or connected: an IP address and port, or a Unix domain path. */
export type Endpoint = InetEndpoint | UnixEndpoint

/** An IP address (textual, without brackets; a scope id as `%name`) or, when dialling, a host name. */
export interface InetEndpoint {
  readonly host: string
  readonly port: number
}

/** A Unix domain socket path; a leading NUL is a Linux abstract name. */
export interface UnixEndpoint {
  readonly path: string
}

/**
 * One connected stream socket, driven by the core. Every verb is safe to call in any state, also after `onClose`.
 *
 * - `write` takes the whole chunk, always: what the kernel does not take at once the adapter keeps, in order. The chunk is
 *   the adapter's from then on. `false` means that more than `writeBuffer` bytes are now kept: wait for `onDrain`.
 * - `pause` and `resume` are idempotent. Reading starts paused. A chunk may still arrive after `pause`.
 */
export interface StreamHandle {
  write(chunk: Uint8Array): boolean
  /** As `write` of each chunk in turn, with as few system calls as the runtime allows. */
  writev(chunks: ReadonlyArray<Uint8Array>): boolean
  pause(): void
  resume(): void
  /** Sends FIN after all queued bytes, then calls `onFinish`. Reading goes on. */
  shutdownWrite(): void
  /** Releases the descriptor after all queued bytes and FIN. Ends in `onClose`. Bytes that arrive meanwhile may be dropped. */
  close(): void
  /** Drops queued bytes and releases the descriptor at once: RST where `canReset`, else the nearest thing. Ends in `onClose`. */
  reset(): void
  /** Whether `reset` really sends RST on this socket. */
  readonly canReset: boolean
  /** Bytes written but not yet taken by the kernel. The adapter never looks again at a chunk that is not counted here any more. */
  readonly bufferedAmount: number
  /** Known as long as the core has asked once while the socket was open; the adapter remembers the answer. */
  readonly localAddress: Endpoint | undefined
  readonly remoteAddress: Endpoint | undefined
  /**
   * Nobody looks again at a chunk that `onData` gave, so the adapter may free its memory, or read into it once more, and copies less of what comes
   * while it is given chunks back. An adapter that gains nothing by it has no such verb.
   */
  recycle?(chunk: Uint8Array): void
  setNoDelay(enabled: boolean): void
  setKeepAlive(enabled: boolean, initialDelayMillis: number): void
}

/** What a stream socket reports. All calls come from the runtime's event loop; `onClose` is the last and comes exactly once. */
export interface StreamEvents {
  /** Bytes from the peer, of any subclass. The chunk is the receiver's to keep: the adapter never touches it again. Never empty. */
  onData(chunk: Uint8Array): void
  /** The peer's FIN, after the last `onData`. At most once. */
  onEnd(): void
  /** Fewer than `writeBuffer` bytes are kept again, after a `write` that returned false. May come too often. */
  onDrain(): void
  /** FIN of our own has been handed to the kernel, after `shutdownWrite`. At most once. */
  onFinish(): void
  /** The descriptor is released. `error` is the runtime's own value where the socket failed, not yet classified. */
  onClose(error?: unknown): void
}

/** Options that a stream socket keeps for its life. Values are validated: whole numbers, in range. */
export interface StreamOptions {
  readonly noDelay: boolean
  /** Milliseconds of silence before the first probe, or `false`. 0 leaves the delay to the system. */
  readonly keepAlive: number | false
  /** Bytes the adapter may keep before `write` returns false. */
  readonly writeBuffer: number
  /** The socket must be able to send RST; an adapter may take a slower kind of socket to make it so. */
  readonly resettable: boolean
}

export interface ConnectRequest extends StreamOptions {
  readonly endpoint: Endpoint
  /** One that is not this machine's is classified as `AddressNotAvailable`, one whose port, or last free port, is taken as `AddressInUse`. */
  readonly localAddress?: string | undefined
  readonly localPort?: number | undefined
}

/** Exactly one of the two is called, once; neither after the request was cancelled. */
export interface ConnectEvents {
  onOpen(handle: StreamHandle): StreamEvents
  onFail(error: unknown): void
}

export interface ListenRequest extends StreamOptions {
  readonly endpoint: Endpoint
  /** Length of the kernel's queue; `undefined` leaves it to the runtime. */
  readonly backlog: number | undefined
  readonly reusePort: boolean
  readonly ipv6Only: boolean
  /** Permissions of the file of a Unix domain socket, set as soon as it is bound; `undefined` leaves them to the umask. */
  readonly mode?: number | undefined
}

/** A listening socket. `pause` and `resume` govern accepting where the runtime can (`capabilities.acceptPause`); it starts paused. */
export interface ListenerHandle {
  /** The address really bound: port 0 has become a port. */
  readonly localAddress: Endpoint
  pause(): void
  resume(): void
  /**
   * Stops listening and frees the port, or deletes the file of the path if it is still this socket's. Accepted connections live on.
   * Ends in `onClose`.
   */
  close(): void
}

/** `onListening` or `onFail` first, exactly one; then any number of accepts; `onClose` last, exactly once, if it listened. */
export interface ListenEvents {
  onListening(handle: ListenerHandle): void
  onFail(error: unknown): void
  /** A new connection, paused. `undefined` means that nobody wants it: the adapter resets it. */
  onAccept(handle: StreamHandle): StreamEvents | undefined
  /** An accept failed; the listener lives on. The adapter backs off by itself where going on at once would spin. */
  onAcceptError(error: unknown): void
  onClose(): void
}

/** Ends a request that is under way: no callback comes after it, and a socket that appears late is closed at once. */
export type Cancel = () => void

/** What the runtime can do, known before anything is tried. The support table of the README is made from these. */
export interface Capabilities {
  /** Every stream socket can send RST; `onRequest`: only one opened with `resettable`. */
  readonly reset: boolean | "onRequest"
  /** The kernel's queue fills while nobody accepts; otherwise the runtime accepts at once and the core holds the queue. */
  readonly acceptPause: boolean
  readonly backlog: boolean
  readonly reusePort: boolean
  readonly ipv6Only: boolean
  readonly localAddress: boolean
  readonly keepAliveDelay: boolean
  /** A reset by the peer is always told from its end of stream. */
  readonly resetVisible: boolean
  /** Host and network unreachable are told from a refusal. */
  readonly unreachableVisible: boolean
  readonly unix: boolean
  /** Abstract names (a leading NUL) mean exactly what other programs of the machine mean by them. */
  readonly unixAbstract: boolean
  readonly datagram: boolean
  /** Datagram sockets of several processes share a port. */
  readonly datagramReusePort: boolean
  /** The kernel's buffers of a datagram socket take the sizes asked for. */
  readonly datagramBuffers: boolean
  /** Why a datagram was not sent or not delivered is told: unreachable, or refused by the peer of a connected socket. */
  readonly datagramErrors: boolean
  /** A group of IPv6 can be joined for one source alone. */
  readonly multicastSourceV6: boolean
}

/** The name of one capability, as `Unsupported` reports it. */
export type Capability = keyof Capabilities

/** What an adapter makes of an error of its runtime. `kind` decides the typed error; `code` and `message` are for people. */
export interface Failure {
  readonly kind: ErrorKind
  readonly code: string | undefined
  readonly message: string
}

/** Exactly one of the two is called, once; neither after the request was cancelled. */
export interface LookupEvents {
  /** All addresses of the name, in the resolver's order; at least one. */
  onFound(addresses: ReadonlyArray<string>): void
  onFail(error: unknown): void
}

/** A runtime's sockets. One value a runtime; it keeps no state between requests. */
export interface Transport {
  /** `node`, `deno`, `bun`, `memory`, or a name of its own. */
  readonly runtime: string
  readonly capabilities: Capabilities
  /** The longest path of a Unix domain socket, without the NUL at its end. Default 107, as on Linux. */
  readonly maxPathBytes?: number
  connect(request: ConnectRequest, events: ConnectEvents): Cancel
  /**
   * On a path, a socket's file on which nobody listens is taken over; nothing else is deleted or replaced, not even for a moment in
   * which another server may have bound the path.
   */
  listen(request: ListenRequest, events: ListenEvents): Cancel
  /** There where `capabilities.datagram` is. */
  bindDatagram?(request: DatagramRequest, events: BindDatagramEvents): Cancel
  /** Finds the addresses of a host name. Without it, `connect` is given the name, and datagrams go to IP addresses only. */
  lookup?(host: string, events: LookupEvents): Cancel
  /** Whether `connect` is to be given names all the same: a runtime may be allowed a name and not its addresses. */
  dialsNames?(): boolean
  /** Names an error that the transport has reported or thrown. Never throws. */
  classify(error: unknown): Failure
  /**
   * Calls back once the runtime has looked at its sockets at least once more, so that bytes which wait are delivered before; and not
   * before so many milliseconds of real time have passed, which a network without real time leaves out.
   */
  afterPoll(callback: () => void, millis?: number): void
}
