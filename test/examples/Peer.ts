/**
 * The other side of a program under test: plain sockets that know nothing of the SDK.
 * Python's where `python3` is installed, `node:net`'s and `node:dgram`'s otherwise, behind the same few verbs.
 */
import { spawnSync } from "node:child_process"
import { nodePeer } from "./NodePeer.ts"
import { pythonPeer } from "./PythonPeer.ts"

/** One stream socket. `address` is the one at the peer's own end, as the program prints it. */
export interface RawSocket {
  readonly address: string
  readonly send: (data: string | Uint8Array) => Promise<void>
  /** One receive; empty at the end of stream. */
  readonly receive: () => Promise<Buffer>
  readonly readToEnd: () => Promise<Buffer>
  readonly shutdown: () => Promise<void>
  readonly close: () => Promise<void>
  readonly reset: () => Promise<void>
}

/** One datagram socket. */
export interface RawDatagrams {
  readonly address: string
  readonly port: number
  readonly send: (data: string | Uint8Array, port: number) => Promise<void>
  readonly receive: () => Promise<Buffer>
  readonly close: () => Promise<void>
}

export interface Peer {
  readonly language: string
  readonly connect: (port: number) => Promise<RawSocket>
  readonly connectPath: (path: string) => Promise<RawSocket>
  readonly datagrams: () => Promise<RawDatagrams>
  readonly listen: () => Promise<{ readonly port: number; readonly accept: () => Promise<RawSocket> }>
  /** How many of so many clients at once get back what they sent, ending their side after it. */
  readonly echo: (port: number, size: number, clients: number) => Promise<number>
  readonly stop: () => void
}

export const makePeer = (): Peer => {
  if (spawnSync("python3", ["--version"]).status === 0) return pythonPeer()
  console.log("python3 not found: the examples are tested against node:net instead")
  return nodePeer()
}
