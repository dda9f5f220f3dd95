/**
 * The options that a socket is opened with reach the kernel, as Linux shows them: its list of sockets tells which have a timer to probe the
 * peer, and when that is due (proc_pid_net(5)).
 */
import { readFileSync } from "node:fs"
import process from "node:process"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { RuntimeNetwork } from "../adapters/runtime/index.ts"
import * as Net from "../src/Net.ts"
import { Network } from "../src/Network.ts"
import { InetAddress, type SocketAddress } from "../src/SocketAddress.ts"

const port = (address: SocketAddress): string =>
  (address as InetAddress).port.toString(16).toUpperCase().padStart(4, "0")

/** Seconds until the next probe, for a socket from one port to another that will send one. */
const untilProbe = (from: SocketAddress, to: SocketAddress): number | undefined => {
  const line = readFileSync("/proc/net/tcp", "utf8").split("\n").find((line) =>
    line.includes(`0100007F:${port(from)} 0100007F:${port(to)} `)
  )
  const [timer, due] = line!.trim().split(/\s+/)[5]!.split(":")
  return timer === "02" ? parseInt(due!, 16) / 100 : undefined
}

const dialled = (keepAlive: Net.SocketOptions["keepAlive"], resettable = false) =>
  Effect.gen(function* () {
    const { address } = yield* Net.listen("127.0.0.1:0")
    const connection = yield* Net.connect(address, { keepAlive, resettable })
    return untilProbe(connection.localAddress, address)
  }).pipe(Effect.provide(RuntimeNetwork.layer))

describe.skipIf(process.platform !== "linux")("keepAlive, as the kernel has it,", () => {
  it.scoped("of a socket that dials", () =>
    Effect.gen(function* () {
      expect(yield* dialled(false)).toBe(undefined)
      for (const resettable of [false, true]) expect(yield* dialled(true, resettable)).toBeGreaterThan(60)
    }))

  it.scoped("of an accepted one", () =>
    Effect.gen(function* () {
      const listener = yield* Net.listen("127.0.0.1:0", { keepAlive: true })
      const client = yield* Net.connect(listener.address)
      yield* listener.accept
      expect(untilProbe(listener.address, client.localAddress)).toBeGreaterThan(60)
    }).pipe(Effect.provide(RuntimeNetwork.layer)))
})

describe("the delay of keepAlive", () => {
  const { keepAliveDelay } = RuntimeNetwork.transport.capabilities

  it.runIf(keepAliveDelay && process.platform === "linux")(
    "of less than a second is a second, not two hours",
    () =>
      Effect.runPromise(Effect.scoped(Effect.gen(function* () {
        expect(yield* dialled("1 millis")).toBeLessThanOrEqual(1)
        expect(yield* dialled("32767 seconds")).toBeGreaterThan(32_000)
      })))
  )

  it.runIf(!keepAliveDelay)(
    "is Unsupported where the runtime has none",
    () =>
      Effect.runPromise(Effect.scoped(Effect.gen(function* () {
        expect(yield* Effect.flip(dialled("1 minute"))).toMatchObject({
          _tag: "Unsupported",
          capability: "keepAliveDelay"
        })
      })))
  )

  it.scoped("of more than Linux can wait is a wrong option", () =>
    Effect.gen(function* () {
      for (const keepAlive of [Infinity, "32768 seconds"] as const) {
        const failed = yield* Effect.either(Net.connect("127.0.0.1:1", { keepAlive }))
        expect(Either.getLeft(failed)).toMatchObject({ value: { _tag: "InvalidOption", option: "keepAlive" } })
      }
    }).pipe(Effect.provideService(Network, {
      ...RuntimeNetwork.transport,
      capabilities: { ...RuntimeNetwork.transport.capabilities, keepAliveDelay: true }
    })))
})
