/**
 * Datagrams that have come and were not received yet: bounded in number and in bytes, drops counted. What does not fit
 * is dropped whole, the oldest or the newest as chosen. Every operation is O(1) amortised. Effect-free.
 */
import type { Datagram } from "../UdpSocket.ts"

export interface Bounds {
  readonly capacity: number
  readonly capacityBytes: number
  readonly overflow: "drop-oldest" | "drop-newest"
}

/** Room for so many is not given back. */
const kept = 64

export class DatagramQueue {
  /** Datagrams held, and their bytes. */
  size = 0
  bytes = 0
  dropped = 0
  /** From `#head` on, `size` of them. Its room is kept while it is small: most datagrams find the queue empty. */
  #items: Array<Datagram | undefined> = []
  #head = 0
  readonly #bounds: Bounds

  constructor(bounds: Bounds) {
    this.#bounds = bounds
  }

  push(datagram: Datagram): void {
    const { capacity, capacityBytes, overflow } = this.#bounds
    const bytes = datagram.bytes.length
    if (this.size >= capacity || this.bytes + bytes > capacityBytes) {
      if (overflow === "drop-newest" || bytes > capacityBytes) {
        this.dropped++
        return
      }
      while (this.size >= capacity || this.bytes + bytes > capacityBytes) {
        this.shift()
        this.dropped++
      }
    }
    this.#items[this.#head + this.size++] = datagram
    this.bytes += bytes
  }

  shift(): Datagram | undefined {
    if (this.size === 0) return undefined
    const items = this.#items
    const datagram = items[this.#head]!
    items[this.#head++] = undefined
    this.size--
    this.bytes -= datagram.bytes.length
    if (this.#head >= kept && this.#head >= this.size) {
      this.#items = items.slice(this.#head, this.#head + this.size)
      this.#head = 0
    } else if (this.size === 0) this.#head = 0
    return datagram
  }

  takeAll(): Array<Datagram> {
    const all = this.#items.slice(this.#head, this.#head + this.size) as Array<Datagram>
    this.clear()
    return all
  }

  clear(): void {
    this.#items = []
    this.#head = 0
    this.size = 0
    this.bytes = 0
  }
}
