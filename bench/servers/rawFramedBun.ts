/**
 * Every message sent back, on `Bun.listen` alone, split by hand: what the kernel did not take is kept, half-close is passed on, a client that
 * does not read is not read from, and a message that is too large ends the connection.
 */
import * as process from "node:process"
import { bun, type BunSocket } from "../../adapters/bun/BunApi.ts"
import { announce } from "./announce.ts"
import { answering } from "./split.ts"

interface State {
  readonly answer: (chunk: Uint8Array) => Uint8Array | undefined
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

const server = bun().listen({
  hostname: "127.0.0.1",
  port: 0,
  allowHalfOpen: true,
  data: undefined,
  socket: {
    binaryType: "uint8array",
    open(socket) {
      socket.data = { answer: answering(process.argv[2]), unsent: [], ended: false } satisfies State
    },
    data(socket, chunk) {
      const { answer, unsent } = stateOf(socket)
      try {
        const replies = answer(chunk)
        if (replies === undefined) return
        const sent = unsent.length > 0 ? 0 : socket.write(replies)
        if (sent === replies.length) return
        unsent.push(replies.subarray(Math.max(sent, 0)))
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
