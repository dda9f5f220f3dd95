/**
 * A listening socket of a memory network. Established connections wait here to be accepted, as in the kernel's queue.
 * When the queue is full a connect stays pending and is admitted once there is room, as by a SYN that is sent again.
 * Closing frees the address at once and resets what was not accepted.
 */
import type { Endpoint, ListenerHandle, ListenEvents } from "../../src/Transport.ts"
import type { Binding } from "./AddressSpace.ts"
import type { Kernel } from "./Kernel.ts"
import type { MemoryStream } from "./MemoryStream.ts"

interface Limits {
  readonly backlog: number
  readonly writeBuffer: number
}

/** A connect that asks a listener for room. */
export interface Syn {
  /** There is room: makes the connection and gives the listener its end. */
  establish(writeBuffer: number): MemoryStream
  /** The listener is gone. */
  refuse(): void
}

export class MemoryListener implements ListenerHandle, Binding {
  readonly localAddress: Endpoint
  readonly reusePort: boolean
  readonly ipv6Only: boolean
  readonly #kernel: Kernel
  readonly #events: ListenEvents
  readonly #writeBuffer: number
  readonly #backlog: number
  readonly #established: Array<MemoryStream> = []
  readonly #waiting = new Set<Syn>()
  #paused = true
  #closed = false
  #posted = false

  constructor(kernel: Kernel, binding: Binding, limits: Limits, events: ListenEvents) {
    this.localAddress = binding.localAddress
    this.reusePort = binding.reusePort
    this.ipv6Only = binding.ipv6Only
    this.#kernel = kernel
    this.#events = events
    this.#writeBuffer = limits.writeBuffer
    this.#backlog = limits.backlog
    kernel.addresses.add(this)
  }

  pause(): void {
    this.#paused = true
  }

  resume(): void {
    this.#paused = false
    this.#wake()
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#kernel.addresses.remove(this)
    for (const stream of this.#established.splice(0)) stream.reset()
    for (const syn of this.#waiting) syn.refuse()
    this.#waiting.clear()
    this.#kernel.tasks.post(() => this.#events.onClose())
  }

  /** Linux calls the queue full when it holds more than the backlog, so that a backlog of 0 still lets one in. */
  offer(syn: Syn): void {
    if (this.#established.length > this.#backlog) this.#waiting.add(syn)
    else this.#admit(syn)
  }

  withdraw(syn: Syn): void {
    this.#waiting.delete(syn)
  }

  #admit(syn: Syn): void {
    this.#waiting.delete(syn)
    this.#established.push(syn.establish(this.#writeBuffer))
    this.#wake()
  }

  #wake(): void {
    if (this.#posted || this.#paused || this.#established.length === 0) return
    this.#posted = true
    this.#kernel.tasks.post(this.#accept)
  }

  /** One connection a task, so that a crowd of new ones does not delay those that talk already. */
  readonly #accept = (): void => {
    this.#posted = false
    if (this.#paused || this.#closed) return
    const stream = this.#established.shift()!
    for (const syn of this.#waiting) {
      this.#admit(syn)
      break
    }
    this.#wake()
    const events = this.#events.onAccept(stream)
    if (events === undefined) stream.reset()
    else stream.attach(events)
  }
}
