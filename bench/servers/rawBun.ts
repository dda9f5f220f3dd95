/**
 * An echo server on `Bun.listen` alone, correct and no more: what the kernel did not take is kept, half-close is passed on, and a
 * client that does not read is not read from.
 */
import { bun, type BunSocket } from "../../adapters/bun/BunApi.ts"
import { announce } from "./announce.ts"

interface State {
  unsent: Array<Uint8Array>
  ended: boolean
}

const stateOf = (socket: BunSocket) => socket.data as State

const flush = (socket: BunSocket): void => {
  const state = stateOf(socket)
  while (state.unsent.length > 0) {
    const chunk = state.unsent[0]!
    const sent = socket.write(chunk)
    if (sent < chunk.length) {
      state.unsent[0] = chunk.subarray(Math.max(sent, 0))
      return
    }
    state.unsent.shift()
  }
  if (state.ended) socket.end()
  else socket.resume()
}

const server = bun().listen({
  hostname: "127.0.0.1",
  port: 0,
  allowHalfOpen: true,
  data: undefined,
  socket: {
    binaryType: "uint8array",
    open(socket) {
      socket.data = { unsent: [], ended: false } satisfies State
    },
    data(socket, chunk) {
      const { unsent } = stateOf(socket)
      const sent = unsent.length > 0 ? 0 : socket.write(chunk)
      if (sent === chunk.length) return
      unsent.push(chunk.subarray(Math.max(sent, 0)))
      socket.pause()
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
