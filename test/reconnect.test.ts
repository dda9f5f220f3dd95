/**
 * A client of a service that is killed (SIGKILL) and started again under load: nothing that was acknowledged is lost, nothing is
 * done twice that may not be, and every request settles. The service is Python; the file runs under Node, Deno and Bun.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as Effect from "effect/Effect"
import * as ExecutionStrategy from "effect/ExecutionStrategy"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { describe, expect } from "vitest"
import * as FramedClient from "../src/FramedClient.ts"
import * as Framing from "../src/Framing.ts"
import { trap } from "./support/peers.ts"
import { python } from "./support/python.ts"

/** Writes lines down before it acknowledges them; once told, it writes them down only, and says so when there are some. */
const ledger = (file: string) => `
log = os.open(${JSON.stringify(file)}, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
def bind():
    # Some connection of another test may have the port for a moment.
    while True:
        try: return socket.create_server(("127.0.0.1", int(sys.argv[1])))
        except OSError: time.sleep(0.02)
server = bind()
say(server.getsockname()[1])
silent = False
def hush():
    global silent
    wait()
    silent = True
def serve(sock):
    rest = b""
    owed = 0
    try:
        while chunk := sock.recv(65536):
            *lines, rest = (rest + chunk).split(b"\\n")
            hushed = silent
            os.write(log, b"".join(line + b"\\n" for line in lines))
            if not hushed: sock.sendall(b"".join(b"done " + line + b"\\n" for line in lines))
            elif owed < 20:
                owed += len(lines)
                if owed >= 20: say("hushed")
    except OSError: pass
threading.Thread(target=hush, daemon=True).start()
while True:
    threading.Thread(target=serve, args=(server.accept()[0],), daemon=True).start()
`

const requests = 3000
const kills = 4

describe("a service that is killed and started again", () => {
  trap(
    "loses nothing that it acknowledged, and does nothing twice",
    Effect.gen(function* () {
      const folder = yield* Effect.acquireRelease(
        Effect.sync(() => mkdtempSync(join(tmpdir(), "ledger-"))),
        (folder) => Effect.sync(() => rmSync(folder, { recursive: true }))
      )
      const file = join(folder, "log")
      const start = (port: number) =>
        Effect.gen(function* () {
          const scope = yield* Scope.fork(yield* Effect.scope, ExecutionStrategy.sequential)
          const { go, line } = yield* Scope.extend(python(ledger(file), port), scope)
          return {
            port: Number(yield* line),
            kill: Effect.zipRight(Effect.zipRight(go, line), Scope.close(scope, Exit.void))
          }
        })
      let service = yield* start(0)
      const client = yield* FramedClient.make({
        connect: { host: "127.0.0.1", port: service.port },
        codec: Framing.lines().pipe(Framing.text()),
        retry: { baseDelay: "5 millis", maxDelay: "50 millis" },
        whileDisconnected: "wait"
      })
      let connections = 0
      yield* Effect.forkScoped(
        Stream.runForEach(client.state.changes, ({ _tag }) => Effect.sync(() => _tag === "Connected" && connections++))
      )
      let settled = 0
      let served = 0
      let wake = () => {}
      const load = yield* Effect.fork(
        Effect.forEach(
          Array.from({ length: requests }, (_, i) => i),
          (i) =>
            client.request(String(i), { idempotent: i % 2 === 0 }).pipe(
              Effect.exit,
              Effect.tap((exit) =>
                Effect.sync(() => {
                  settled++
                  if (Exit.isSuccess(exit)) served++
                  wake()
                })
              )
            ),
          { concurrency: 50 }
        )
      )
      for (let kill = 1; kill <= kills; kill++) {
        const due = kill * requests / (kills + 1)
        yield* Effect.async<void>((resume) => {
          wake = () => settled >= due && resume(Effect.void)
          wake()
        })
        yield* service.kill
        service = yield* start(service.port)
      }
      const exits = yield* Fiber.join(load)
      const written = readFileSync(file, "utf8").split("\n")
      const times = (i: number) => written.filter((line) => line === String(i)).length
      expect(settled).toBe(requests)
      expect(served).toBeGreaterThanOrEqual(requests - kills * 50)
      expect(connections).toBe(kills + 1)
      // Every kill has found some that were done and not acknowledged; those that may be done twice were.
      expect(exits.filter((exit, i) => Exit.isFailure(exit) && times(i) === 1).length).toBeGreaterThanOrEqual(kills)
      expect(exits.filter((_, i) => times(i) === 2).length).toBeGreaterThanOrEqual(kills)
      for (const [i, exit] of exits.entries()) {
        const idempotent = i % 2 === 0
        if (Exit.isSuccess(exit)) {
          expect(exit.value).toBe(`done ${i}`)
          expect(times(i)).toBeGreaterThanOrEqual(1)
          if (!idempotent) expect(times(i)).toBe(1)
        } else {
          expect(idempotent).toBe(false)
          expect(exit.cause).toMatchObject({ _tag: "Fail", error: { _tag: "Disconnected", sent: true } })
          expect(times(i)).toBeLessThanOrEqual(1)
        }
      }
    })
  )
})
