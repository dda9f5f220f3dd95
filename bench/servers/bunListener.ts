/**
 * What the bare servers of Bun that answer share, correct and no more: what the kernel did not take is kept, half-close is passed on, and
 * a client that does not read is not read from.
 */
import { bun, type BunSocket } from "../../adapters/bun/BunApi.ts"
import { announce } from "./announce.ts"

/** What is to be sent for what has come; what it throws ends the connection. */
export type Answer = (chunk: Uint8Array) => Uint8Array | undefined

interface State {
  readonly answer: Answer
  readonly unsent: Array<Uint8Array>
  ended: boolean
}

const stateOf = (socket: BunSocket) => socket.data as State

const flush = (socket: BunSocket): void => {
  const { ended, unsent } = stateOf(socket)
  while (unsent.length > 0) {
    const chunk = unsent[0]!
    const sent = socket.write(chunk)
    if (sent < chunk.length) {
      unsent[0] = chunk.subarray(Math.max(sent, 0))
      return
    }
    unsent.shift()
  }
  if (ended) socket.end()
  else socket.resume()
}

/** `answering` makes what answers one connection. */
export const listen = (answering: () => Answer): void => {
  const server = bun().listen({
    hostname: "127.0.0.1",
    port: 0,
    allowHalfOpen: true,
    data: undefined,
    socket: {
      binaryType: "uint8array",
      open(socket) {
        socket.data = { answer: answering(), unsent: [], ended: false } satisfies State
      },
      data(socket, chunk) {
        const { answer, unsent } = stateOf(socket)
        try {
          const reply = answer(chunk)
          if (reply === undefined) return
          const sent = unsent.length > 0 ? 0 : socket.write(reply)
          if (sent === reply.length) return
          unsent.push(reply.subarray(Math.max(sent, 0)))
          socket.pause()
        } catch {
          socket.terminate()
        }
      },
      // Also called after every pause.
      drain(socket) {
        if (stateOf(socket).unsent.length > 0) flush(socket)
      },
      end(socket) {
        stateOf(socket).ended = true
        flush(socket)
      },
      close() {}
    }
  })
  const address: { port?: number } = {}
  server.getsockname(address)
  announce(address.port!)
}
