import { it as effectIt } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/TestClock"
import { describe, expect, it } from "vitest"
import { MemoryNetwork } from "../../adapters/memory/index.ts"
import * as Net from "../../src/Net.ts"
import { Network } from "../../src/Network.ts"
import type { ListenRequest } from "../../src/Transport.ts"
import { bytes, local, Script, streamOptions, turn } from "./Script.ts"

describe("addresses", () => {
  it("refuses where nobody listens, and has no route beyond its own addresses", async () => {
    const script = new Script()
    script.connect("refused", local(80))
    script.connect("far", { host: "192.0.2.1", port: 80 })
    script.connect("path", { path: "/run/none" })
    await turn()
    expect(script.log).toEqual(["refused fail ECONNREFUSED", "far fail ENETUNREACH", "path fail ENOENT"])
  })

  it("looks names up, in any case, and tries their addresses in order", async () => {
    const network = MemoryNetwork.make({
      names: { "DB.test": ["192.0.2.1", "10.0.0.9", "10.0.0.5"], "empty.test": [] },
      addresses: ["10.0.0.0/24"]
    })
    const script = new Script(network)
    script.listen("s", { host: "10.0.0.5", port: 5432 })
    const found = script.connect("found", { host: "db.TEST", port: 5432 })
    script.connect("first", { host: "db.test", port: 1 })
    script.connect("unknown", { host: "no.test", port: 5432 })
    script.connect("empty", { host: "empty.test", port: 5432 })
    script.connect("localhost", { host: "localhost", port: 5432 })
    await turn()
    expect(found.handle!.remoteAddress).toEqual({ host: "10.0.0.5", port: 5432 })
    expect(found.handle!.localAddress).toEqual({ host: "10.0.0.5", port: 49152 + 2 })
    expect(script.log).toEqual([
      "first fail ENETUNREACH",
      "unknown fail ENOTFOUND",
      "empty fail ENOTFOUND",
      "localhost fail ECONNREFUSED",
      "found open"
    ])
  })

  it("reads an IPv6 address in any spelling", async () => {
    const script = new Script(MemoryNetwork.make({ addresses: ["FE80:0::/10"] }))
    script.listen("s", { host: "0:0:0:0:0:0:0:1", port: 80 })
    script.listen("scoped", { host: "fe80::1%eth0", port: 80 })
    const dial = script.connect("c", { host: "::1", port: 80 })
    script.connect("scoped c", { host: "fe80::0001%eth0", port: 80 })
    const mapped = script.connect("mapped", { host: "::ffff:127.0.0.1", port: 1 })
    script.connect("nonsense", { host: ":::", port: 80 })
    await turn()
    expect(dial.handle!.remoteAddress).toEqual({ host: "::1", port: 80 })
    expect(mapped.code).toBe("ECONNREFUSED")
    expect(script.log.slice(1)).toEqual(["nonsense fail ENOTFOUND", "c open", "scoped c open"])
  })

  it("binds its own addresses only, at both ends", async () => {
    const script = new Script()
    const listener = script.listen("s", local(80))
    const foreign = script.listen("foreign", { host: "192.0.2.1", port: 80 })
    const from = script.connect("from", local(80), { localAddress: "127.0.0.9", localPort: 1000 })
    const taken = script.connect("taken", local(80), { localAddress: "127.0.0.9", localPort: 1000 })
    const nowhere = script.connect("nowhere", local(80), { localAddress: "192.0.2.1" })
    const family = script.connect("family", local(80), { localAddress: "::1" })
    await turn()
    expect(listener.accepted[0]!.remoteAddress).toEqual({ host: "127.0.0.9", port: 1000 })
    expect([foreign, taken, nowhere, family].map(({ code }) => code))
      .toEqual(["EADDRNOTAVAIL", "EADDRINUSE", "EADDRNOTAVAIL", "EADDRNOTAVAIL"])
    from.handle!.reset()
    script.connect("again", local(80), { localAddress: "127.0.0.9", localPort: 1000 })
    await turn()
    expect(script.log).toContain("again open")
  })

  it("refuses a busy port, whichever of the two is the wildcard", async () => {
    const busy = async (first: string, second: string, options: Partial<ListenRequest> = {}) => {
      const script = new Script()
      script.listen("a", { host: first, port: 80 }, options)
      const rival = script.listen("b", { host: second, port: 80 }, options)
      await turn()
      return rival.code
    }
    expect(await busy("127.0.0.1", "127.0.0.1")).toBe("EADDRINUSE")
    expect(await busy("127.0.0.1", "0.0.0.0")).toBe("EADDRINUSE")
    expect(await busy("::", "127.0.0.1")).toBe("EADDRINUSE")
    expect(await busy("0.0.0.0", "::")).toBe("EADDRINUSE")
    expect(await busy("127.0.0.1", "127.0.0.2")).toBe(undefined)
    expect(await busy("::", "127.0.0.1", { ipv6Only: true })).toBe(undefined)
    expect(await busy("127.0.0.1", "127.0.0.1", { reusePort: true })).toBe(undefined)
  })

  it("gives a port back the moment its listener closes, though connections live on", async () => {
    const script = new Script()
    for (let round = 0; round < 3; round++) {
      const listener = script.listen("s", local(80))
      script.connect("c", local(80))
      await turn()
      expect(listener.accepted.length).toBe(1)
      listener.handle!.close()
    }
    expect(script.log).not.toContain("c close ECONNRESET")
  })

  it("reaches a wildcard listener through every address of its families", async () => {
    const reached = async (host: string, options: Partial<ListenRequest> = {}) => {
      const script = new Script()
      script.listen("s", { host, port: 80 }, options)
      for (const to of ["127.0.0.1", "127.9.9.9", "0.0.0.0", "::1", "::"]) script.connect(to, { host: to, port: 80 })
      await turn()
      return script.log.filter((line) => line.endsWith("open")).map((line) => line.split(" ")[0])
    }
    expect(await reached("0.0.0.0")).toEqual(["127.0.0.1", "127.9.9.9", "0.0.0.0"])
    expect(await reached("::")).toEqual(["127.0.0.1", "127.9.9.9", "0.0.0.0", "::1", "::"])
    expect(await reached("::", { ipv6Only: true })).toEqual(["::1", "::"])
  })

  it("prefers an exact listener, and lets those that share a port take turns", async () => {
    const script = new Script()
    const any = script.listen("any", { host: "0.0.0.0", port: 80 }, { reusePort: true })
    const one = script.listen("one", local(80), { reusePort: true })
    const two = script.listen("two", local(80), { reusePort: true })
    for (let i = 0; i < 4; i++) script.connect(`c${i}`, local(80))
    script.connect("other", { host: "127.0.0.2", port: 80 })
    await turn()
    expect([any, one, two].map(({ accepted }) => accepted.length)).toEqual([1, 2, 2])
  })

  it("hands out all ephemeral ports before one again, then says that there is none", async () => {
    const script = new Script(MemoryNetwork.make({ backlog: 20_000 }))
    script.listen("s", local(80))
    const dials = Array.from({ length: 16_385 }, (_, i) => script.connect(`c${i}`, local(80)))
    while (script.log.filter((line) => line.startsWith("c")).length < dials.length) await turn()
    const ports = new Set(dials.map(({ handle }) => (handle?.localAddress as { port?: number } | undefined)?.port))
    expect(ports.size).toBe(16_385)
    expect(dials.at(-1)!.code).toBe("EADDRINUSE")
  })

  it("keeps Unix paths in a space of their own, and forgets one that is closed", async () => {
    const script = new Script()
    const listener = script.listen("s", { path: "/run/a" })
    const rival = script.listen("rival", { path: "/run/a" })
    const dial = script.connect("c", { path: "/run/a" })
    await turn()
    expect(rival.code).toBe("EADDRINUSE")
    expect(dial.handle!.remoteAddress).toEqual({ path: "/run/a" })
    expect(listener.handle!.localAddress).toEqual({ path: "/run/a" })
    listener.handle!.close()
    script.connect("late", { path: "/run/a" })
    await turn()
    expect(script.log).toEqual(["c open", "s closed", "late fail ENOENT"])
  })

  it("keeps networks apart", async () => {
    const [one, other] = [new Script(), new Script()]
    const listeners = [one.listen("s", local(80)), other.listen("s", { host: "::1", port: 80 })]
    one.connect("c", local(80))
    other.connect("c", local(80))
    await turn()
    expect(listeners.map(({ code }) => code)).toEqual([undefined, undefined])
    expect([one.log, other.log]).toEqual([["c open"], ["c fail ECONNREFUSED"]])
  })

  it("makes a network for each build of the layer", async () => {
    const build = Effect.runPromise(Effect.provide(Network, MemoryNetwork.layer))
    expect(await build).not.toBe(await Effect.runPromise(Effect.provide(Network, MemoryNetwork.layer)))
  })

  it("rejects sizes and addresses that are none", () => {
    const wrong: ReadonlyArray<MemoryNetwork.Options> = [
      { bufferSize: 0 },
      { bufferSize: NaN },
      { backlog: -1 },
      { names: { "a.test": "b.test" } },
      { addresses: ["10.0.0.0/33"] },
      { answersAfter: { "db.test": "1 second" } },
      { answersAfter: { "10.0.0.1": -1 } }
    ]
    for (const options of wrong) {
      expect(() => MemoryNetwork.make(options)).toThrow(expect.objectContaining({ _tag: "InvalidOption" }))
    }
  })
})

describe("the queue of a listener", () => {
  const full = async (backlog = 1) => {
    const script = new Script()
    const listener = script.listen("s", local(80), { backlog })
    await turn()
    listener.handle!.pause()
    const dials = ["a", "b", "c", "d"].map((name) => script.connect(name, local(80)))
    await turn()
    return { script, dials, listener: listener.handle!, accepted: listener.accepted }
  }

  it("holds one more than the backlog and leaves the rest pending until there is room", async () => {
    const { accepted, listener, script } = await full()
    expect(script.log).toEqual(["a open", "b open"])
    listener.resume()
    await turn()
    expect(script.log).toEqual(["a open", "b open", "c open", "d open"])
    expect(accepted.length).toBe(4)
    expect((await full(0)).script.log).toEqual(["a open"])
  })

  effectIt.scoped("keeps a connect pending for as long as a TestClock wants", () =>
    Effect.gen(function* () {
      const { address } = yield* Net.listen({ host: "127.0.0.1", port: 0 }, { backlog: 1 })
      yield* Net.connect(address)
      yield* Net.connect(address)
      const third = yield* Effect.fork(Effect.flip(Net.connect(address, { connectTimeout: "1 hour" })))
      yield* TestClock.adjust("1 hour")
      expect(yield* third).toMatchObject({ _tag: "ConnectTimeout" })
    }).pipe(Effect.provide(MemoryNetwork.layer)))

  it("forgets a pending connect that is cancelled", async () => {
    const { accepted, dials, listener, script } = await full()
    dials[2]!.cancel()
    listener.resume()
    await turn()
    expect(script.log).toEqual(["a open", "b open", "d open"])
    expect(accepted.length).toBe(3)
  })

  it("resets what was not accepted when it closes, and refuses what is pending", async () => {
    const { listener, script } = await full()
    script.log.length = 0
    listener.close()
    listener.close()
    await turn()
    expect(script.log).toEqual([
      "a close ECONNRESET",
      "b close ECONNRESET",
      "c fail ECONNREFUSED",
      "d fail ECONNREFUSED",
      "s closed"
    ])
  })

  it("lets a pending connect reach whoever listens next on the port", async () => {
    const { listener, script } = await full()
    const next = script.listen("next", { host: "0.0.0.0", port: 80 })
    listener.close()
    await turn()
    expect(script.log.filter((line) => line.endsWith("open"))).toEqual(["a open", "b open", "c open", "d open"])
    expect(next.accepted.length).toBe(2)
  })

  it("hands over a connection that was reset before it was accepted, with its bytes and its error", async () => {
    const { accepted, dials, listener, script } = await full()
    dials[0]!.handle!.write(bytes(3))
    dials[0]!.handle!.reset()
    listener.resume()
    await turn()
    expect(accepted.length).toBe(4)
    expect(script.log.filter((line) => line.startsWith("s1"))).toEqual(["s1 data 3", "s1 close ECONNRESET"])
  })

  it("resets a connection that nobody wants", async () => {
    const script = new Script()
    const ignore = () => {}
    const request = { ...streamOptions, endpoint: local(80), backlog: undefined, reusePort: false, ipv6Only: false }
    script.network.listen(request, {
      onListening: (handle) => handle.resume(),
      onFail: ignore,
      onAccept: () => undefined,
      onAcceptError: ignore,
      onClose: ignore
    })
    script.connect("c", local(80))
    await turn()
    expect(script.log).toEqual(["c open", "c close ECONNRESET"])
  })

  it("calls nothing back after a cancel, at whatever moment", async () => {
    const script = new Script()
    const listener = script.listen("s", local(80), {}, {})
    await turn()
    script.connect("at once", local(80)).cancel()
    const established = script.connect("established", local(80))
    script.network.afterPoll(established.cancel)
    await turn()
    for (const handle of listener.accepted) handle.resume()
    await turn()
    expect(script.log).toEqual(["s1 end"])
  })
})
