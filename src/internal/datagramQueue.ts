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

export class DatagramQueue {
  /** Datagrams held, and their bytes. */
  size = 0
  bytes = 0
  dropped = 0
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
    this.#items.push(datagram)
    this.size++
    this.bytes += bytes
  }

  shift(): Datagram | undefined {
    const items = this.#items
    const datagram = items[this.#head]
    if (datagram === undefined) return undefined
    items[this.#head++] = undefined
    this.size--
    this.bytes -= datagram.bytes.length
    if (this.size === 0) this.clear()
    else if (this.#head >= 64 && this.#head * 2 >= items.length) {
      this.#items = items.slice(this.#head)
      this.#head = 0
    }
    return datagram
  }

  takeAll(): Array<Datagram> {
    const all = this.#items.slice(this.#head) as Array<Datagram>
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
