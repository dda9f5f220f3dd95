/**
 * A socket that was dialled. Node lets it read into memory of ours (`onread`), where an accepted one is given 64 KiB afresh for every read:
 * what is given back is read into again, and a short read is copied out.
 */
import { Buffer } from "node:buffer"
import { Socket, type SocketConstructorOpts } from "node:net"
import type { StreamOptions } from "../../src/Transport.ts"
import { ReadBuffer } from "../ReadBuffer.ts"
import { dialledWith, NodeStream } from "./NodeStream.ts"

class DialledStream extends NodeStream {
  readonly #input: ReadBuffer

  constructor(socket: Socket, options: StreamOptions, path: string | undefined, input: ReadBuffer) {
    super(socket, options, path)
    this.#input = input
  }

  override recycle(chunk: Uint8Array): void {
    this.#input.recycle(chunk)
  }
}

/** Not a Buffer, whose `slice` is a view. */
const allocate = (size: number) => new Uint8Array(Buffer.allocUnsafeSlow(size).buffer)

/** A socket that is not connected yet, and what takes it over once it is. */
export const dial = (options: StreamOptions) => {
  const input = new ReadBuffer(allocate)
  let stream: DialledStream | undefined
  const onread = {
    buffer: () => input.target,
    callback: (size: number): boolean => {
      stream?.events.onData(input.take(size))
      return true
    }
  }
  const socket = new Socket({ ...dialledWith(options), onread } as SocketConstructorOpts)
  const opened = (path: string | undefined) => stream = new DialledStream(socket, options, path, input)
  return { socket, opened }
}
