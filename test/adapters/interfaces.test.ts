/**
 * What the adapters know of this machine's interfaces. The loopback's network has a broadcast address on Linux alone.
 */
import { networkInterfaces } from "node:os"
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { Udp } from "effect-netkit"
import { RuntimeNetwork } from "effect-netkit/runtime"
import { isBroadcast } from "../../adapters/interfaces.ts"

const hasLoopback = Object.values(networkInterfaces()).some((addresses) =>
  addresses?.some(({ cidr }) => cidr === "127.0.0.1/8")
)

describe.runIf(process.platform === "linux" && hasLoopback)("The broadcast address of a network", () => {
  it("is told from those of its hosts, and from others", () => {
    expect(["127.255.255.255", "127.0.0.1", "127.0.255.255", "255.255.255.255", "::1"].map(isBroadcast)).toEqual(
      [true, false, false, false, false]
    )
  })

  it.scopedLive("wants the option like that of all networks", () =>
    Effect.gen(function* () {
      const socket = yield* Udp.bind("0.0.0.0:0")
      const to = "127.255.255.255:9"
      expect(yield* Effect.flip(socket.send("x", to))).toMatchObject({ _tag: "PermissionDenied", operation: "send" })
      yield* socket.configure({ broadcast: true })
      yield* socket.send("x", to)
    }).pipe(Effect.provide(RuntimeNetwork.layer)))
})
