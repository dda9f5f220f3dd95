import { describe, expect, it } from "@effect/vitest"
import { Effect, Exit, Scope } from "effect"
import { Net, type Network, Server, SocketAddress } from "effect-netkit"
import { MemoryNetwork } from "effect-netkit/memory"
import { RuntimeNetwork } from "effect-netkit/runtime"
import { mkdtempSync, rmSync, statSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

type Body = (path: string) => Effect.Effect<unknown, unknown, Scope.Scope | Network.Network>

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "netkit-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true }))
)

const everywhere = (name: string, body: Body) => {
  it.scoped(`${name} (memory)`, () => Effect.provide(body("/server.sock"), MemoryNetwork.layer))
  it.scopedLive(
    name,
    () => Effect.flatMap(folder, (folder) => Effect.provide(body(join(folder, "server.sock")), RuntimeNetwork.layer))
  )
}

const v4 = { host: "127.0.0.1", port: 0 }
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes)

const refuses = (address: SocketAddress.SocketAddress) =>
  Effect.map(Effect.exit(Effect.scoped(Net.connect(address))), Exit.isFailure)

describe("A server with several addresses", () => {
  everywhere(
    "serves all of them with one handler, counted together, and drains them together",
    (path) =>
      Effect.gen(function* () {
        const scope = yield* Scope.make()
        const server = yield* Scope.extend(
          Server.serve(Server.make({
            listen: [v4, { host: "::1", port: 0 }, { path }, v4],
            overflow: "reject",
            maxConnections: 4,
            handler: (connection) =>
              Effect.zipRight(connection.write(String(connection.localAddress)), Effect.ignore(connection.read))
          })),
          scope
        )
        expect(server.addresses.length).toBe(4)
        expect(server.address).toBe(server.addresses[0])
        for (const address of server.addresses) {
          const client = yield* Net.connect(address)
          const said = text(yield* client.readExactly(String(address).length))
          expect(said).toBe(String(address))
        }
        expect(yield* server.status).toMatchObject({ active: 4, accepted: 4 })
        const over = yield* Effect.exit(Effect.flatMap(Net.connect(server.address), (client) => client.readExactly(1)))
        expect(Exit.isFailure(over)).toBe(true)
        yield* server.suspend
        for (const address of server.addresses) expect(yield* refuses(address)).toBe(true)
        yield* server.update({ maxConnections: 100 })
        yield* server.resume
        for (const address of server.addresses) expect(yield* refuses(address)).toBe(false)
        yield* Scope.close(scope, Exit.void)
        expect((yield* server.drained).cutOff).toBe(0)
        for (const address of server.addresses) expect(yield* refuses(address)).toBe(true)
      })
  )

  everywhere("binds all of them or none", (path) =>
    Effect.gen(function* () {
      const taken = yield* Net.listen(v4)
      const free = yield* Effect.scoped(Effect.map(Net.listen(v4), ({ address }) => address))
      const server = Server.make({ listen: [free, { path }, taken.address], handler: () => Effect.void })
      expect(yield* Effect.flip(server.serve)).toMatchObject({ _tag: "AddressInUse", address: taken.address })
      expect(yield* refuses(free)).toBe(true)
      expect(yield* refuses(SocketAddress.unix(path))).toBe(true)
      yield* Net.listen(free)
      yield* Net.listen({ path })
    }))

  everywhere("has at least one, and checks all before it binds any", () =>
    Effect.gen(function* () {
      for (const listen of [[], [v4, "nonsense:"], [v4, { host: "127.0.0.1", port: 70_000 }]]) {
        const server = Server.make({ listen, handler: () => Effect.void })
        expect(yield* Effect.flip(server.serve)).toMatchObject({ _tag: "InvalidOption" })
      }
    }))

  it.scopedLive("gives its permissions to the files among them", () =>
    Effect.gen(function* () {
      const path = join(yield* folder, "server.sock")
      yield* Server.serve(Server.make({ listen: [v4, { path }], mode: 0o660, handler: () => Effect.void }))
      expect(statSync(path).mode & 0o777).toBe(0o660)
    }).pipe(Effect.provide(RuntimeNetwork.layer)))
})
