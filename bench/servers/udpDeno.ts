/**
 * Datagrams on `Deno.listenDatagram` alone, which needs `--unstable-net`, into one buffer: every one is sent back, or all are counted
 * and one of a single byte asks how many.
 */
import * as process from "node:process"
import { announce } from "./announce.ts"

interface DatagramConn {
  readonly addr: { readonly port: number }
  receive(buffer: Uint8Array): Promise<readonly [bytes: Uint8Array, from: object]>
  send(bytes: Uint8Array, to: object): Promise<number>
}

const { Deno } = globalThis as unknown as { readonly Deno: { listenDatagram(options: object): DatagramConn } }

const socket = Deno.listenDatagram({ hostname: "127.0.0.1", port: 0, transport: "udp" })
const buffer = new Uint8Array(65536)
let count = 0

announce(socket.addr.port)
for (;;) {
  const [bytes, from] = await socket.receive(buffer)
  if (process.argv[2] === "udp-echo") await socket.send(bytes, from)
  else if (bytes.length === 1) await socket.send(new TextEncoder().encode(String(count)), from)
  else count++
}
