/**
 * `peer.py` behind the verbs of `Peer`: one process, one line of JSON a command and an answer.
 */
import { spawn } from "node:child_process"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import type { Peer, RawSocket } from "./Peer.ts"

interface Answer {
  readonly id: number
  readonly error?: string
  readonly socket: number
  readonly address: string
  readonly port: number
  readonly hex: string
  readonly whole: number
}

export const pythonPeer = (): Peer => {
  const script = fileURLToPath(new URL("peer.py", import.meta.url))
  const child = spawn("python3", [script], { stdio: ["pipe", "pipe", "inherit"] })
  const waiting = new Map<number, (answer: Answer) => void>()
  createInterface({ input: child.stdout }).on("line", (line) => {
    const answer: Answer = JSON.parse(line)
    waiting.get(answer.id)?.(answer)
    waiting.delete(answer.id)
  })
  let last = 0
  const call = (verb: string, args: object): Promise<Answer> =>
    new Promise((resolve, reject) => {
      const id = last++
      waiting.set(id, (answer) => {
        if (answer.error === undefined) resolve(answer)
        else reject(new Error(`${verb}: ${answer.error}`))
      })
      child.stdin.write(`${JSON.stringify({ id, do: verb, with: args })}\n`)
    })
  const wrap = ({ address, socket: id }: Pick<Answer, "address" | "socket">): RawSocket => {
    const verb = (name: string) => async () => void await call(name, { id })
    const reading = (name: string) => async () => Buffer.from((await call(name, { id })).hex, "hex")
    return {
      address,
      send: async (data) => void await call("send", { id, hex: Buffer.from(data).toString("hex") }),
      receive: reading("recv"),
      readToEnd: reading("read_to_end"),
      shutdown: verb("shutdown"),
      close: verb("close"),
      reset: verb("reset")
    }
  }
  const datagrams = async () => {
    const { address, port, socket: id } = await call("datagrams", {})
    const { close, receive } = wrap({ address, socket: id })
    const send = async (data: string | Uint8Array, port: number) =>
      void await call("send_to", { id, hex: Buffer.from(data).toString("hex"), port })
    return { address, port, send, receive, close }
  }
  return {
    language: "python",
    connect: async (port) => wrap(await call("connect", { port })),
    connectPath: async (path) => wrap(await call("connect_path", { path })),
    datagrams,
    listen: async () => {
      const { port, socket: id } = await call("listen", {})
      return { port, accept: async () => wrap(await call("accept", { id })) }
    },
    echo: async (port, size, clients) => (await call("echo", { port, size, clients })).whole,
    stop: () => void child.stdin.end()
  }
}
