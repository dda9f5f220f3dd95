/**
 * What the sockets of one memory network share: its order of events, its addresses and the size of its buffers.
 */
import type { AddressSpace } from "./AddressSpace.ts"
import type { Distances } from "./Distances.ts"
import type { MemoryDatagram } from "./MemoryDatagram.ts"
import type { MemoryListener } from "./MemoryListener.ts"
import type { TaskQueue } from "./TaskQueue.ts"

export interface Kernel {
  readonly tasks: TaskQueue
  readonly addresses: AddressSpace<MemoryListener>
  /** The same hosts and names, with ports of their own. */
  readonly datagrams: AddressSpace<MemoryDatagram>
  readonly distances: Distances
  /** Bytes that one direction of a connection holds between the two ends. */
  readonly bufferSize: number
}
