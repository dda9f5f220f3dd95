/**
 * Bytes that the kernel has not taken yet: a linked list of chunks, so that every byte is queued and released in constant time.
 * Large chunks are handed out as they are; runs of small ones are gathered by copying, as Bun has no `writev`.
 */

interface Node {
  readonly chunk: Uint8Array
  next: Node | undefined
}

/** Most bytes that are gathered into one system call. */
const gatherSize = 64 * 1024

/** From this size on a system call of its own is cheaper than a copy. */
const largeSize = 16 * 1024

// One for all sockets: `socket.write` is done with it when it returns.
let scratch: Uint8Array | undefined

export class SendQueue {
  /** Bytes queued. */
  size = 0
  private first: Node | undefined
  private last: Node | undefined
  /** Bytes of the first chunk that are gone already. */
  private offset = 0

  push(chunk: Uint8Array): void {
    if (chunk.length === 0) return
    const node: Node = { chunk, next: undefined }
    if (this.last === undefined) this.first = node
    else this.last.next = node
    this.last = node
    this.size += chunk.length
  }

  /** The bytes to write next, valid until the next call on any queue; empty only if the queue is. */
  peek(): Uint8Array {
    if (this.first === undefined) return new Uint8Array(0)
    const { chunk, next } = this.first
    const rest = this.offset === 0 ? chunk : chunk.subarray(this.offset)
    return next === undefined || rest.length >= largeSize ? rest : this.gather(rest, next)
  }

  private gather(head: Uint8Array, next: Node | undefined): Uint8Array {
    scratch ??= new Uint8Array(gatherSize)
    scratch.set(head)
    let filled = head.length
    for (let node = next; node !== undefined && filled < gatherSize; node = node.next) {
      const room = gatherSize - filled
      const part = node.chunk.length <= room ? node.chunk : node.chunk.subarray(0, room)
      scratch.set(part, filled)
      filled += part.length
    }
    return scratch.subarray(0, filled)
  }

  /** Drops the first `count` bytes. */
  advance(count: number): void {
    this.size -= count
    this.offset += count
    while (this.first !== undefined && this.offset >= this.first.chunk.length) {
      this.offset -= this.first.chunk.length
      this.first = this.first.next
    }
    if (this.first === undefined) this.last = undefined
  }

  clear(): void {
    this.advance(this.size)
  }
}
