/**
 * How a balancer is asked and told what to do: a command a line, for `nc` and scripts. Whoever reaches the port may do all of it.
 */
import { FramedServer, Framing, SocketAddress } from "effect-netkit"
import * as Either from "effect/Either"
import * as Equal from "effect/Equal"
import * as Stream from "effect/Stream"
import type { Backend } from "./Backend.ts"

export const makeHandler = (backends: ReadonlyArray<Backend>) =>
  FramedServer.handler({
    codec: Framing.lines({ maxFrameLength: 1024 }).pipe(Framing.text()),
    handler: () => (line) => {
      const [command, address = "", ...more] = line.trim().split(/ +/)
      if (line.trim() === "status") return Stream.fromIterable([...backends.map(String), "ok"])
      if (command !== "drain" && command !== "undrain" || more.length > 0) return usage
      const wanted = SocketAddress.parse(address)
      const backend = backends.find(({ address }) => Either.isRight(wanted) && Equal.equals(address, wanted.right))
      if (backend === undefined) return `error: no backend ${address}`
      backend.draining = command === "drain"
      return `ok`
    }
  })

const usage = "error: status, drain HOST:PORT, or undrain HOST:PORT"
