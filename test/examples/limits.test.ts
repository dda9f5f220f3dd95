/**
 * `idle-and-limits`, complete in itself: a child process under every runtime.
 */
import { afterAll, describe, expect, it } from "vitest"
import { finish, runtimes, stopAll } from "./Child.ts"

afterAll(stopAll)

describe.each(runtimes)("idle-and-limits under %s", { timeout: 60_000 }, (runtime) => {
  it("turns away who is too many and drops who is idle, each with its reason", async () => {
    const { code, stdout } = await finish(runtime, "idle-and-limits", ["--idle", "0.4", "--per-host", "3"])
    const count = (pattern: RegExp) => stdout.split("\n").filter((line) => pattern.test(line)).length
    expect(stdout).toMatch(/^client 4: turned away \(\w+\)$/m)
    expect(stdout).toContain("\nserver: turned away 1: maxConnectionsPerHost\n")
    expect(stdout).toMatch(/^client 1: served 4 times, and silent from now on$/m)
    expect(count(/: accepted$/)).toBe(4)
    expect(count(/: dropped: IdleTimeout: /)).toBe(4)
    expect(count(/: the server ended the connection$/)).toBe(4)
    expect(stdout).toMatch(/^client 5: served 1 times/m)
    expect(code).toBe(0)
  })

  it.runIf(runtime === runtimes.at(-1))("--help, and wrong limits", async () => {
    const help = await finish(runtime, "idle-and-limits", ["--help"])
    expect(help.stdout).toMatch(/usage/)
    expect(help.code).toBe(0)
    for (const flags of [["--idle", "0"], ["--idle", "x"], ["--per-host", "0"]]) {
      expect(await finish(runtime, "idle-and-limits", flags)).toMatchObject({ code: 2, stdout: "" })
    }
  })
})
