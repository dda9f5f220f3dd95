/**
 * The load of idle connections, a process of its own: opens them, each is answered once and stays. What the server's memory has grown by
 * since two hundred others came and went is what they cost.
 * `idle.js '{"port":..,"pid":..,...}'` prints one `Sample` as JSON.
 */
import { once } from "node:events"
import * as net from "node:net"
import process from "node:process"
import { setTimeout } from "node:timers/promises"
import { caseNamed, type Sample } from "./cases.ts"
import { fail, type Load, residentOf } from "./machine.ts"

const load = JSON.parse(process.argv[2]!) as Load
const { connections, request } = caseNamed(load.case)

const open = async (): Promise<net.Socket> => {
  const socket = net.connect({ port: load.port, host: "127.0.0.1", noDelay: true }).on("error", fail)
  socket.write(request)
  await once(socket, "data")
  return socket
}

/** So many at a time that no queue overflows. */
const openAll = async (count: number): Promise<ReadonlyArray<net.Socket>> => {
  const sockets: Array<net.Socket> = []
  while (sockets.length < count) {
    const batch = Array.from({ length: Math.min(100, count - sockets.length) }, open)
    sockets.push(...await Promise.all(batch))
  }
  return sockets
}

const settle = () => setTimeout(1000)

for (const socket of await openAll(200)) socket.destroy()
await settle()
const before = residentOf(load.pid)
await openAll(connections)
await settle()
const after = residentOf(load.pid)
const sample: Sample = {
  cost: before === null || after === null ? null : (after - before) / connections,
  rate: null,
  p50: null,
  p99: null,
  others: null
}
console.log(JSON.stringify(sample))
process.exit()
