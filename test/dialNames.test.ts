/**
 * Dialling names over the sockets of the runtime: `localhost`, names with several addresses from an /etc/hosts of the test's own, and an
 * address that never answers beside one that does.
 */
import { execFileSync, spawnSync } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import { afterAll, describe, expect, it } from "vitest"
import { RuntimeNetwork } from "../adapters/runtime/index.ts"
import * as Net from "../src/Net.ts"
import { Network } from "../src/Network.ts"
import type { Transport } from "../src/Transport.ts"
import { eventually, pause, readAll, text } from "./conformance/support.ts"
import * as Witness from "./conformance/witness.ts"
import { openDescriptors, runtime } from "./support/conformance.ts"
import { noPython, python } from "./support/python.ts"

const run = <A, E>(effect: Effect.Effect<A, E, Network | Scope.Scope>) =>
  Effect.runPromise(Effect.scoped(effect).pipe(Effect.provide(RuntimeNetwork.layer)))

describe("localhost", () => {
  it("is dialled at 127.0.0.1", () =>
    run(Effect.gen(function* () {
      const { address } = yield* Net.listen("127.0.0.1:0")
      const connection = yield* Net.connect({ host: "localhost", port: portOf(address) })
      expect(String(connection.remoteAddress)).toBe(String(address))
    })))
})

const portOf = (address: { toString(): string }): number => Number(/\d+$/.exec(String(address))![0])

describe("a name with several addresses in /etc/hosts", () => {
  const folder = mkdtempSync(join(tmpdir(), "netkit-names-"))
  afterAll(() => rmSync(folder, { recursive: true, force: true }))
  const hosts = join(folder, "hosts")
  writeFileSync(
    hosts,
    [
      "127.0.0.1 localhost both.test three.test",
      "::1 localhost both.test",
      "127.0.0.2 three.test",
      "127.0.0.3 three.test",
      ""
    ].join("\n")
  )
  const commands = { node: ["--import", "tsx"], deno: ["run", "--allow-all"], bun: ["--bun", "run"] }
  const within = (
    ...command: ReadonlyArray<string>
  ) => ["-rnm", "sh", "-c", `ip link set lo up && mount --bind ${hosts} /etc/hosts && exec "$@"`, "sh", ...command]
  const skip = spawnSync("unshare", within("true")).status === 0 ? undefined : "unshare -rnm, mount and ip are needed"
  if (skip !== undefined) console.warn(`skipped: names in /etc/hosts: ${skip}`)

  it.skipIf(skip !== undefined)("reaches the one that has the server, and tells of all where none has", () => {
    const script = fileURLToPath(new URL("support/dialNames.ts", import.meta.url))
    const out = execFileSync("unshare", within(process.execPath, ...commands[runtime], script), { timeout: 20_000 })
    expect(JSON.parse(String(out))).toEqual({
      local: ["127.0.0.1", "127.0.0.1", "127.0.0.1"],
      local6: ["[::1]", "[::1]", "ConnectionRefused 3"],
      second: ["ConnectionRefused 2", "ConnectionRefused 2", "127.0.0.3"],
      refused: "ConnectionRefused 3",
      lookups: ["127.0.0.1", "::1", "127.0.0.1,::1"],
      missing: "NameNotFound"
    })
  })
})

/** A listener on 127.0.0.1 that has no room for one more, so that there is no answer, and where it listens on 127.0.0.2 too. */
const halfSilent = Effect.gen(function* () {
  const peer = yield* python(`
silent = socket.socket(); silent.bind(("127.0.0.1", 0)); silent.listen(0)
port = silent.getsockname()[1]
fill = [socket.socket() for _ in range(4)]
for sock in fill: sock.setblocking(False); sock.connect_ex(("127.0.0.1", port))
time.sleep(0.1)
say(port); wait()`)
  const port = Number(yield* peer.line)
  return { port, listener: yield* Net.listen({ host: "127.0.0.2", port }) }
})

/** The transport with a resolver that finds both. */
const resolving = (transport: Transport): Transport => ({
  ...transport,
  lookup(_, { onFound }) {
    const timer = setTimeout(() => onFound(["127.0.0.1", "127.0.0.2"]))
    return () => clearTimeout(timer)
  }
})

describe.skipIf(noPython !== undefined)("an address that never answers", () => {
  const watched = <A, E>(
    body: (port: number, listener: Net.Listener) => Effect.Effect<A, E, Network | Scope.Scope>
  ) => {
    const witness = Witness.make(resolving(RuntimeNetwork.transport))
    const tried = Effect.scoped(Effect.flatMap(halfSilent, ({ listener, port }) => body(port, listener)))
    return run(
      Effect.gen(function* () {
        // What a runtime opens for good with its first child process is open before they are counted.
        yield* Effect.scoped(halfSilent)
        const before = openDescriptors()
        yield* tried
        yield* witness.verdict
        // Bun cannot cancel a connect: it ends when the silent peer does.
        yield* eventually(() => openDescriptors() <= before, () => `${openDescriptors() - before} descriptors leak`)
      }).pipe(Effect.provideService(Network, witness.transport))
    )
  }

  it("is overtaken by the next, ten times over", () =>
    watched((port, { accept, address }) =>
      Effect.gen(function* () {
        const options = { connectionAttemptDelay: "10 millis" } as const
        for (let round = 0; round < 10; round++) {
          yield* Effect.scoped(Effect.gen(function* () {
            const client = yield* Net.connect({ host: "db.test", port }, options)
            expect(String(client.remoteAddress)).toBe(String(address))
            yield* client.write("hello")
            yield* client.shutdown
            expect(text(yield* readAll(yield* accept))).toBe("hello")
          }))
        }
      })
    ))

  it("is let go of when the dial is interrupted, or out of time", () =>
    watched((port) =>
      Effect.gen(function* () {
        const alone = Net.connect({ host: "db.test", port }, { connectionAttemptDelay: "1 hour" })
        for (const millis of [0, 1, 5, 20]) {
          const dialling = yield* Effect.fork(Effect.scoped(alone))
          yield* pause(millis)
          yield* Fiber.interrupt(dialling)
        }
        const error = yield* Effect.flip(Effect.scoped(Net.connect(
          { host: "db.test", port },
          { connectionAttemptDelay: "1 hour", connectTimeout: "50 millis" }
        )))
        expect(error).toMatchObject({ _tag: "ConnectTimeout", attempts: [{ _tag: "ConnectTimeout" }] })
      })
    ))
})
