/**
 * `node:net` and `node:dgram` behind the verbs of `Peer`, for machines without Python.
 */
import { randomBytes } from "node:crypto"
import * as dgram from "node:dgram"
import * as net from "node:net"
import type { Peer, RawDatagrams, RawSocket } from "./Peer.ts"

class NodeSocket implements RawSocket {
  readonly address: string
  readonly #socket: net.Socket
  readonly #chunks: Array<Buffer> = []
  #end: { readonly error?: Error } | undefined
  #wake = () => {}

  constructor(socket: net.Socket, address: string) {
    this.address = address
    this.#socket = socket.setNoDelay()
    const end = (error?: Error) => {
      this.#end ??= error === undefined ? {} : { error }
      this.#wake()
    }
    socket.on("data", (chunk) => {
      this.#chunks.push(chunk)
      this.#wake()
    })
    socket.on("error", end)
    socket.on("end", () => end())
  }

  async receive(): Promise<Buffer> {
    while (this.#chunks.length === 0 && this.#end === undefined) {
      await new Promise<void>((resolve) => this.#wake = resolve)
    }
    const chunk = this.#chunks.shift()
    if (chunk !== undefined) return chunk
    if (this.#end?.error !== undefined) throw this.#end.error
    return Buffer.alloc(0)
  }

  async readToEnd(): Promise<Buffer> {
    const parts: Array<Buffer> = []
    for (let part = await this.receive(); part.length > 0; part = await this.receive()) parts.push(part)
    return Buffer.concat(parts)
  }

  send(data: string | Uint8Array): Promise<void> {
    return new Promise((resolve, reject) => this.#socket.write(data, (error) => error ? reject(error) : resolve()))
  }

  shutdown(): Promise<void> {
    this.#socket.end()
    return Promise.resolve()
  }

  close(): Promise<void> {
    this.#socket.destroySoon()
    return Promise.resolve()
  }

  reset(): Promise<void> {
    this.#socket.resetAndDestroy()
    return Promise.resolve()
  }
}

const dial = (options: net.NetConnectOpts, address: (socket: net.Socket) => string): Promise<NodeSocket> =>
  new Promise((resolve, reject) => {
    const socket = net.connect({ ...options, allowHalfOpen: true })
    socket.once("connect", () => resolve(new NodeSocket(socket, address(socket))))
    socket.once("error", reject)
  })

const connect = (port: number): Promise<NodeSocket> =>
  dial({ port, host: "127.0.0.1" }, ({ localAddress, localPort }) => `${localAddress}:${localPort}`)

const datagrams = async (): Promise<RawDatagrams> => {
  const socket = dgram.createSocket("udp4").unref()
  await new Promise<void>((resolve) => socket.bind(0, "127.0.0.1", resolve))
  const { address, port } = socket.address()
  const arrived: Array<Buffer> = []
  let wake = () => {}
  socket.on("message", (data) => {
    arrived.push(data)
    wake()
  })
  return {
    address: `${address}:${port}`,
    port,
    send: (data, port) =>
      new Promise((resolve, reject) =>
        socket.send(data, port, "127.0.0.1", (error) => error === null ? resolve() : reject(error))
      ),
    receive: async () => {
      while (arrived.length === 0) await new Promise<void>((resolve) => wake = resolve)
      return arrived.shift()!
    },
    close: () => new Promise((resolve) => socket.close(resolve))
  }
}

const echoed = async (port: number, size: number): Promise<boolean> => {
  const data = randomBytes(size)
  const socket = await connect(port)
  void socket.send(data)
  void socket.shutdown()
  return data.equals(await socket.readToEnd())
}

export const nodePeer = (): Peer => {
  const servers: Array<net.Server> = []
  return {
    language: "node",
    connect,
    connectPath: (path) => dial({ path }, () => path),
    datagrams,
    listen: () =>
      new Promise((resolve) => {
        const accepted: Array<NodeSocket> = []
        let wake = () => {}
        const server = net.createServer({ allowHalfOpen: true }, (socket) => {
          accepted.push(new NodeSocket(socket, `${socket.remoteAddress}:${socket.remotePort}`))
          wake()
        })
        servers.push(server)
        const accept = async () => {
          while (accepted.length === 0) await new Promise<void>((resolve) => wake = resolve)
          return accepted.shift()!
        }
        server.listen(0, "127.0.0.1", () => resolve({ port: (server.address() as net.AddressInfo).port, accept }))
      }),
    echo: async (port, size, clients) => {
      const results = await Promise.all(Array.from({ length: clients }, () => echoed(port, size)))
      return results.filter(Boolean).length
    },
    stop: () => servers.forEach((server) => server.close())
  }
}
