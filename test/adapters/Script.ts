/**
 * Drives a transport by hand, without the core, and writes down everything that it reports, in order.
 * Connections are named by the test; those that a listener `s` accepts are `s1`, `s2`, ...
 */
import { MemoryNetwork } from "../../adapters/memory/index.ts"
import type {
  Cancel,
  ConnectRequest,
  Endpoint,
  ListenerHandle,
  ListenRequest,
  StreamEvents,
  StreamHandle,
  Transport
} from "../../src/Transport.ts"

export const streamOptions = { noDelay: true, keepAlive: false, writeBuffer: 1024, resettable: false } as const
export const bytes = (size: number, fill = 7) => new Uint8Array(size).fill(fill)
const codeOf = (error: unknown) => (error as { code?: string } | undefined)?.code
export const local = (port = 0): Endpoint => ({ host: "127.0.0.1", port })

/** A turn of the event loop: the network has reported whatever it had to, up to 512 events. */
export const turn = () => new Promise<void>((resolve) => void setImmediate(resolve))

export class Script {
  readonly log: Array<string> = []
  readonly network: Transport
  constructor(network: Transport = MemoryNetwork.make()) {
    this.network = network
  }

  stream(name: string, react: Partial<StreamEvents> = {}): StreamEvents {
    const say = (event: string) => void this.log.push(`${name} ${event}`)
    return {
      onData: (chunk) => (say(`data ${chunk.length}`), react.onData?.(chunk)),
      onEnd: () => (say("end"), react.onEnd?.()),
      onDrain: () => (say("drain"), react.onDrain?.()),
      onFinish: () => (say("finish"), react.onFinish?.()),
      onClose: (error) => (say(`close ${codeOf(error) ?? "ok"}`), react.onClose?.(error))
    }
  }

  connect(name: string, endpoint: Endpoint, options: Partial<ConnectRequest> = {}, react?: Partial<StreamEvents>) {
    const dial: { handle: StreamHandle | undefined; code: string | undefined; cancel: Cancel } = {
      handle: undefined,
      code: undefined,
      cancel: () => {}
    }
    dial.cancel = this.network.connect({ ...streamOptions, ...options, endpoint }, {
      onOpen: (handle) => {
        this.log.push(`${name} open`)
        dial.handle = handle
        return this.stream(name, react)
      },
      onFail: (error) => {
        this.log.push(`${name} fail ${codeOf(error)}`)
        dial.code = codeOf(error)
      }
    })
    return dial
  }

  listen(name: string, endpoint: Endpoint, options: Partial<ListenRequest> = {}, react?: Partial<StreamEvents>) {
    const accepted: Array<StreamHandle> = []
    const bound: { handle: ListenerHandle | undefined; accepted: Array<StreamHandle>; code: string | undefined } = {
      handle: undefined,
      accepted,
      code: undefined
    }
    const request = { ...streamOptions, backlog: undefined, reusePort: false, ipv6Only: false, ...options, endpoint }
    this.network.listen(request, {
      onListening: (handle) => {
        bound.handle = handle
        handle.resume()
      },
      onFail: (error) => void (bound.code = codeOf(error)),
      onAccept: (handle) => {
        accepted.push(handle)
        return this.stream(`${name}${accepted.length}`, react)
      },
      onAcceptError: () => {},
      onClose: () => void this.log.push(`${name} closed`)
    })
    return bound
  }

  /** A connected pair, both ends paused, with an empty log. */
  async pair(options: Partial<ConnectRequest> = {}, client?: Partial<StreamEvents>, server?: Partial<StreamEvents>) {
    const listener = this.listen("s", local(), options, server)
    await turn()
    const dial = this.connect("c", listener.handle!.localAddress, options, client)
    await turn()
    this.log.length = 0
    return { listener, client: dial.handle!, server: listener.accepted[0]! }
  }
}
