/**
 * A proxy on `Bun.listen` and `Bun.connect` alone, correct and no more: what the kernel did not take is kept and who sends it is not
 * read from meanwhile, half-close is passed on, the end of one is the end of both.
 */
import * as process from "node:process"
import { bun, type BunSocket, type SocketHandlers } from "../../adapters/bun/BunApi.ts"
import { announce } from "./announce.ts"

/** Of a socket: where its bytes go to, and what it has not sent itself. */
interface State {
  other: BunSocket | undefined
  unsent: Array<Uint8Array>
  /** Nothing more is to be sent. */
  ended: boolean
  /** Nothing more comes. */
  heardEnd: boolean
}

const stateOf = (socket: BunSocket) => socket.data as State

const send = (socket: BunSocket, chunk: Uint8Array): boolean => {
  const { unsent } = stateOf(socket)
  const sent = unsent.length > 0 ? 0 : socket.write(chunk)
  if (sent === chunk.length) return true
  unsent.push(chunk.subarray(Math.max(sent, 0)))
  return false
}

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
  if (state.ended) socket.shutdown()
  state.other?.resume()
}

const end = (socket: BunSocket): void => {
  stateOf(socket).ended = true
  flush(socket)
}

const handlers: Omit<SocketHandlers, "open"> = {
  binaryType: "uint8array",
  data(socket, chunk) {
    if (!send(stateOf(socket).other!, chunk)) socket.pause()
  },
  // Also called after every pause.
  drain(socket) {
    if (stateOf(socket).unsent.length > 0) flush(socket)
  },
  end(socket) {
    const state = stateOf(socket)
    state.heardEnd = true
    if (state.other !== undefined) end(state.other)
  },
  close(socket) {
    stateOf(socket).other?.end()
  }
}

const stateFor = (other: BunSocket | undefined): State => ({ other, unsent: [], ended: false, heardEnd: false })

const dial = (socket: BunSocket): Promise<unknown> =>
  bun().connect({
    hostname: "127.0.0.1",
    port: Number(process.argv[3]),
    allowHalfOpen: true,
    data: undefined,
    socket: {
      ...handlers,
      open(other) {
        other.data = stateFor(socket)
        const state = stateOf(socket)
        state.other = other
        if (state.heardEnd) end(other)
        else socket.resume()
      }
    }
  })

const server = bun().listen({
  hostname: "127.0.0.1",
  port: 0,
  allowHalfOpen: true,
  data: undefined,
  socket: {
    ...handlers,
    open(socket) {
      socket.data = stateFor(undefined)
      socket.pause()
      dial(socket).catch(() => socket.end())
    }
  }
})

const address: { port?: number } = {}
server.getsockname(address)
announce(address.port!)
