/**
 * `unix-echo` as its users see it: child processes under every runtime, with plain sockets on the other side.
 */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, describe, expect, it } from "vitest"
import { finish, runtimes, start, stopAll } from "./Child.ts"
import { makePeer } from "./Peer.ts"

const peer = makePeer()
const folder = mkdtempSync(join(tmpdir(), "netkit-"))

afterAll(() => {
  stopAll()
  peer.stop()
  rmSync(folder, { recursive: true })
})

// One test at a time: several processes in each would wait for each other's turn.
describe.skipIf(process.platform === "win32").each(runtimes)(
  `unix-echo under %s, against ${peer.language}`,
  { timeout: 60_000 },
  (runtime) => {
    const run = (flags: ReadonlyArray<string>) => finish(runtime, "unix-echo", flags)

    const listen = async (path: string) => {
      const server = await start(runtime, "unix-echo", ["--listen", "--path", path])
      await server.line(/^listening on .*$/)
      return server
    }

    /** Types into a client. */
    const client = (path: string, input: string) => finish(runtime, "unix-echo", ["--path", path], { input })

    it.runIf(runtime === runtimes.at(-1))("--help, and a path that is too long", async () => {
      const { code, stdout } = await run(["--help"])
      expect(stdout).toMatch(/usage/)
      expect(code).toBe(0)
      const wrong = await run(["--path", `/${"x".repeat(107)}`])
      expect(wrong.stderr).toMatch(/^--path \/x+: not a Unix socket path of 1-107 bytes\n/)
      expect({ code: wrong.code, stdout: wrong.stdout }).toEqual({ code: 2, stdout: "" })
    })

    it("is both in one without flags", async () => {
      const { code, stderr, stdout } = await run([])
      expect(stdout).toMatch(/^listening on (.*)\nhello -> hello\n/)
      expect(existsSync(/^listening on (.*)$/m.exec(stdout)![1]!)).toBe(false)
      expect({ code, stderr }).toEqual({ code: 0, stderr: "" })
    })

    it("echoes lines, and removes its path at a signal", async () => {
      const path = join(folder, `${runtime}-echo.sock`)
      const server = await listen(path)
      const echoed = { code: 0, stdout: "one\n你好\nlast\n", stderr: "" }
      expect(await client(path, "one\n\n你好\nlast")).toEqual(echoed)

      const raw = await peer.connectPath(path)
      await raw.send("half-closed")
      await raw.shutdown()
      expect(String(await raw.readToEnd())).toBe("half-closed")

      server.signal("SIGTERM")
      expect(await server.ended).toMatchObject({ code: 0, stderr: "" })
      expect(existsSync(path)).toBe(false)
    })

    it("takes over a path that was left behind, and none that somebody listens on", async () => {
      const path = join(folder, `${runtime}-stale.sock`)
      const killed = await listen(path)
      killed.signal("SIGKILL")
      await killed.ended
      expect(existsSync(path)).toBe(true)

      const server = await listen(path)
      const second = await run(["--listen", "--path", path])
      expect(second.stderr).toMatch(/^listen on .*-stale\.sock: address already in use;.*\n$/)
      expect({ code: second.code, stdout: second.stdout }).toEqual({ code: 1, stdout: "" })
      expect(await client(path, "still there")).toMatchObject({ code: 0, stdout: "still there\n" })
      server.signal("SIGINT")
      await server.ended
    })

    it("leaves a file that is no socket alone", async () => {
      const path = join(folder, `${runtime}-file`)
      writeFileSync(path, "mine")
      expect(await run(["--listen", "--path", path])).toMatchObject({ code: 1, stdout: "" })
      expect(existsSync(path)).toBe(true)
    })
  }
)
