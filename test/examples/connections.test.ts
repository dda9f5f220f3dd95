/**
 * The programs that show what becomes of connections, each complete in itself: child processes under every runtime.
 */
import { afterAll, describe, expect, it } from "vitest"
import { finish, runtimes, stopAll } from "./Child.ts"

afterAll(stopAll)

describe.each(runtimes)("under %s", { timeout: 60_000 }, (runtime) => {
  it("short-vs-long makes the same requests in three ways, and counts the connections", async () => {
    const { code, stderr, stdout } = await finish(runtime, "short-vs-long", ["--requests", "50", "--clients", "3"])
    const [title, head, ...rows] = stdout.trimEnd().split("\n")
    expect(title).toBe("50 requests, 3 at once")
    expect(head).toMatch(/connections +time +a request/)
    const row = (name: string, connections: string) =>
      expect.stringMatching(new RegExp(`^${name} .* ${connections} +\\d+ ms +\\d+ us +#+$`))
    expect(rows).toEqual([row("short:", "50"), row("long:", "1"), row("pool:", "[1-3]")])
    expect(Math.max(...rows.map((row) => row.split("#").length - 1))).toBe(40)
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" })
  })

  it.runIf(runtime === runtimes.at(-1))("short-vs-long --help, and a wrong count", async () => {
    const help = await finish(runtime, "short-vs-long", ["--help"])
    expect(help.stdout).toMatch(/usage/)
    expect(help.code).toBe(0)
    expect(await finish(runtime, "short-vs-long", ["--requests", "0"])).toMatchObject({ code: 2, stdout: "" })
  })
})
