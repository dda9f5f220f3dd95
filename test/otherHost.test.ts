/**
 * Datagrams over a link to another host, which the loopback cannot stand in for: multicast of both families by
 * interface and source, link-local senders, and a link that is slower than the sender. Two network namespaces, with a
 * Python peer in the other one; where they cannot be had this is skipped, with the reason printed.
 */
import { execFile, spawnSync } from "node:child_process"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { beforeAll, describe, expect, it } from "vitest"
import { runtime } from "./support/conformance.ts"

const commands = { node: ["--import", "tsx"], deno: ["run", "--allow-all"], bun: ["--bun", "run"] }
const file = (name: string) => fileURLToPath(new URL(`support/otherHost.${name}`, import.meta.url))
const onTwoHosts = (...command: ReadonlyArray<string>) => ["-rn", "sh", file("sh"), file("py"), ...command]

const tried = spawnSync("unshare", onTwoHosts("true"), { encoding: "utf8", timeout: 20_000 })
const skip = tried.status === 0
  ? undefined
  : `unshare -rn, ip with veth, and python3 are needed: ${tried.stderr ?? tried.error}`
if (skip !== undefined) console.warn(`skipped: another host: ${skip}`)

// Deno does not tell the scope id of a sender.
const zone = runtime === "deno" ? "" : "%va"

const heard = (host: string) => ({
  member: [`pong from ${host}`, `news from ${host}`],
  afterwards: [`pong from ${host}`, "nothing"]
})
const bySource = (host: string) => ({
  ...heard(host),
  ofPeer: [`pong from ${host}`, `news from ${host}`],
  ofStranger: [`pong from ${host}`, "nothing"]
})
const refused = ["Unsupported", "multicastSourceV6"]

describe.skipIf(skip !== undefined)("another host", () => {
  let report: { groups: ReadonlyArray<ReadonlyArray<object>>; linkLocal: string; slow: number }

  beforeAll(async () => {
    const args = onTwoHosts(process.execPath, ...commands[runtime], file("ts"))
    const { stdout } = await promisify(execFile)("unshare", args, { timeout: 50_000 })
    report = JSON.parse(stdout)
  }, 60_000)

  it("IPv4 groups, by name and address of the interface, and by source", () => {
    expect(report.groups[0]).toEqual([bySource("10.77.0.2"), bySource("10.77.0.2")])
  })

  it("IPv6 groups, by name, address and link-local address of the interface, and by source", () => {
    const each = runtime === "deno"
      ? { ...heard("fe80::2"), ofPeer: refused, ofStranger: refused }
      : bySource("fe80::2%va")
    expect(report.groups[1]).toEqual([each, each, each])
  })

  it("a link-local peer is asked by its scope id", () => {
    expect(report.linkLocal).toBe(`pong from fe80::2${zone}`)
  })

  it("what a slow link has no room for waits", () => {
    // On its way, and at a peer that is busy, some may get lost.
    expect(report.slow).toBeGreaterThan(2000)
  })
})
