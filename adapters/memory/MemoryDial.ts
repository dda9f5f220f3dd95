/**
 * A connect under way: looks the name up, then tries its addresses in order until one takes the connection.
 * It is `open` to the dialler when the listener's queue has taken it, before it is accepted, as with TCP.
 * Where every address fails, the error is that of the first.
 */
import type { Cancel, ConnectEvents, ConnectRequest, Endpoint } from "../../src/Transport.ts"
import type { Kernel } from "./Kernel.ts"
import type { MemoryListener, Syn } from "./MemoryListener.ts"
import { MemoryStream } from "./MemoryStream.ts"

export class MemoryDial implements Syn {
  readonly #kernel: Kernel
  readonly #request: ConnectRequest
  readonly #events: ConnectEvents
  #settled = false
  #destinations: ReadonlyArray<Endpoint> = []
  #tried = 0
  #error: unknown
  #local: Endpoint | undefined
  #listener: MemoryListener | undefined
  #stream: MemoryStream | undefined
  #turnBack: Cancel = () => {}

  constructor(kernel: Kernel, request: ConnectRequest, events: ConnectEvents) {
    this.#kernel = kernel
    this.#request = request
    this.#events = events
    kernel.tasks.post(this.#start)
  }

  /** Leaves the listener's queue, or closes a connection that nobody has seen yet. */
  readonly cancel = (): void => {
    if (this.#settled) return
    this.#settled = true
    this.#turnBack()
    this.#listener?.withdraw(this)
    if (this.#stream === undefined) this.#release()
    else this.#stream.close()
  }

  establish(writeBuffer: number): MemoryStream {
    const [own, accepted] = MemoryStream.pair(
      this.#kernel,
      { address: this.#local!, writeBuffer: this.#request.writeBuffer, onRelease: this.#release },
      { address: this.#destinations[this.#tried]!, writeBuffer, onRelease() {} }
    )
    this.#stream = own
    this.#kernel.tasks.post(() => this.#open(own))
    return accepted
  }

  /** The next SYN finds whoever listens there by then, or nobody. */
  refuse(): void {
    this.#release()
    this.#kernel.tasks.post(this.#attempt)
  }

  readonly #start = (): void => {
    if (this.#settled) return
    try {
      this.#destinations = this.#kernel.addresses.destinations(this.#request.endpoint)
    } catch (error) {
      return this.#fail(error)
    }
    this.#attempt()
  }

  readonly #attempt = (): void => {
    if (this.#settled) return
    const destination = this.#destinations[this.#tried]
    if (destination === undefined) return this.#fail(this.#error)
    this.#turnBack = this.#kernel.distances.travel(destination, () => this.#arrive(destination))
  }

  #arrive(destination: Endpoint): void {
    if (this.#settled) return
    const { addresses } = this.#kernel
    try {
      this.#local = addresses.claimPort(destination, this.#request.localAddress, this.#request.localPort)
      this.#listener = addresses.listenerAt(destination)
    } catch (error) {
      this.#error ??= error
      this.#release()
      this.#tried++
      return this.#attempt()
    }
    this.#listener.offer(this)
  }

  #open(stream: MemoryStream): void {
    if (this.#settled) return
    this.#settled = true
    stream.attach(this.#events.onOpen(stream))
  }

  #fail(error: unknown): void {
    this.#settled = true
    this.#events.onFail(error)
  }

  readonly #release = (): void => {
    if (this.#local !== undefined) this.#kernel.addresses.releasePort(this.#local)
    this.#local = undefined
  }
}
