/**
 * The table of errors, of what wants another network, other rights or fewer descriptors: it runs in a child process of
 * the same runtime. What this machine has no means for is skipped, with the reason printed.
 */
import { execFileSync, spawnSync } from "node:child_process"
import { chmodSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import * as Effect from "effect/Effect"
import { describe, expect, it } from "vitest"
import { RuntimeNetwork } from "../adapters/runtime/index.ts"
import * as Net from "../src/Net.ts"
import * as SocketAddress from "../src/SocketAddress.ts"
import { listen } from "./conformance/support.ts"
import { runtime } from "./support/conformance.ts"
import { holds, orRefused, orUnknown } from "./support/expectError.ts"
import type { Report } from "./support/report.ts"

const commands = { node: ["--import", "tsx"], deno: ["run", "--allow-all"], bun: ["--bun", "run"] }

/** The reports of a child of the same runtime; `within` is what starts it. */
const elsewhere = (
  within: ReadonlyArray<string>,
  attempts: ReadonlyArray<object>,
  flags: ReadonlyArray<string> = commands[runtime]
) => {
  const script = fileURLToPath(new URL("support/provoke.ts", import.meta.url))
  const [command, ...args] = [...within, process.execPath, ...flags, script, JSON.stringify(attempts)]
  const { stderr, stdout } = spawnSync(command!, args, { encoding: "utf8", timeout: 20_000 })
  const line = stdout.trim().split("\n").at(-1) ?? ""
  if (!line.startsWith("[")) throw new Error(`the child gave no reports: ${stdout}${stderr}`)
  return JSON.parse(line) as ReadonlyArray<Report>
}

const works = (command: string, ...args: ReadonlyArray<string>): boolean => spawnSync(command, args).status === 0

describe("on another network", () => {
  const network = "ip link set lo up && ip route add unreachable 10.8.0.0/24 && ip route add prohibit 10.7.0.0/24"
  const skip = works("unshare", "-rn", "sh", "-c", network)
    ? undefined
    : "no network namespaces: unshare -rn and ip are needed"
  if (skip !== undefined) console.warn(`skipped: unreachable addresses: ${skip}`)

  it.skipIf(skip !== undefined)("unreachable addresses", () => {
    const attempts = ["10.1.1.1:80", "10.8.0.1:80", "10.7.0.1:80", "[2001:db8::1]:80"].map((address) => ({
      open: "connect",
      address
    }))
    const reports = elsewhere(["unshare", "-rn", "sh", "-c", `${network} && exec "$@"`, "sh"], attempts)
    const tags = [
      orRefused("NetworkUnreachable"),
      orRefused("HostUnreachable"),
      "PermissionDenied",
      orRefused("NetworkUnreachable")
    ]
    reports.forEach((report, i) =>
      holds(report, {
        tag: tags[i]!,
        operation: "connect",
        address: attempts[i]!.address,
        hasCause: true,
        transient: i !== 2
      })
    )
  })
})

describe("datagrams on another network", () => {
  const network = "ip link set lo up && ip route add unreachable 10.8.0.0/24"
  const skip = works("unshare", "-rn", "sh", "-c", network)
    ? undefined
    : "no network namespaces: unshare -rn and ip are needed"
  if (skip !== undefined) console.warn(`skipped: unreachable peers of datagrams: ${skip}`)

  it.skipIf(skip !== undefined)("unreachable peers", () => {
    const addresses = ["10.1.1.1:80", "10.8.0.1:80", "[2001:db8::1]:80"]
    const attempts = addresses.map((address) => ({ open: "send", address }))
    const reports = elsewhere(["unshare", "-rn", "sh", "-c", `${network} && exec "$@"`, "sh"], attempts)
    const tags = ["NetworkUnreachable", "HostUnreachable", "NetworkUnreachable"]
    reports.forEach((report, i) =>
      holds(report, { tag: orUnknown(tags[i]!), operation: "send", address: addresses[i]!, hasCause: true })
    )
  })
})

describe("without rights", () => {
  const root = process.getuid?.() === 0
  const skip = works("unshare", "-Un", "true") ? undefined : "no user namespaces: unshare -Un is needed"
  if (skip !== undefined) console.warn(`skipped: ports below 1024: ${skip}`)

  it.skipIf(skip !== undefined)(`ports below 1024${root ? ", of root in a namespace without rights" : ""}`, () => {
    const attempts = ["listen", "bind"].map((open) => ({ open, address: "0.0.0.0:80" }))
    const reports = elsewhere(["unshare", "-Un"], attempts)
    reports.forEach((report, i) =>
      holds(report, {
        tag: "PermissionDenied",
        operation: attempts[i]!.open,
        address: "0.0.0.0:80",
        hasCause: true,
        transient: false
      })
    )
  })

  it.skipIf(skip !== undefined)("a path in a folder that may not be written to", () => {
    const folder = mkdtempSync(join(tmpdir(), "netkit-"))
    const address = join(folder, "x.sock")
    chmodSync(folder, 0o500)
    const [report] = elsewhere(["unshare", "-Un"], [{ open: "listen", address }])
    rmSync(folder, { recursive: true })
    holds(report!, { tag: "PermissionDenied", operation: "listen", address, hasCause: true, transient: false })
    expect(report!.message).toMatch(/permission denied; .* folder/)
  })

  it.runIf(runtime === "deno").each(["--allow-net", "--allow-write", "--allow-read"])(
    "Deno without %s, for a path",
    (missing) => {
      const address = join(tmpdir(), "netkit-never.sock")
      const attempts = [{ open: "connect", address }, { open: "listen", address }]
      const flags = [`--allow-net`, `--allow-write`, `--allow-read`].filter((flag) => flag !== missing)
      const reading = missing === "--allow-read" ? [`--allow-read=${process.cwd()}`] : []
      const reports = elsewhere([], attempts, [
        "run",
        ...flags,
        ...reading,
        "--allow-env",
        "--allow-sys",
        "--no-prompt"
      ])
      reports.forEach((report, i) =>
        holds(report, {
          tag: "PermissionDenied",
          operation: attempts[i]!.open,
          address,
          hasCause: true,
          transient: false
        })
      )
    }
  )

  it.runIf(runtime === "deno")("Deno without --allow-net", () => {
    const attempts = [
      { open: "connect", address: "127.0.0.1:9" },
      { open: "listen", address: "127.0.0.1:0" },
      { open: "bind", address: "127.0.0.1:0" },
      { open: "send", address: "127.0.0.2:9" }
    ]
    const flags = ["--allow-net=0.0.0.0:0", "--allow-read", "--allow-env", "--allow-sys", "--no-prompt"]
    const reports = elsewhere([], attempts, ["run", ...flags])
    reports.forEach((report, i) =>
      holds(report, {
        tag: "PermissionDenied",
        operation: attempts[i]!.open,
        address: attempts[i]!.address,
        hasCause: true,
        transient: false
      })
    )
  })
})

describe("with a permission for a name alone", () => {
  it.runIf(runtime === "deno")("Deno dials it by that name", () => {
    const attempts = ["localhost:9", "127.0.0.1:9"].map((address) => ({ open: "connect", address }))
    const flags = ["--allow-net=localhost:9", "--allow-read", "--allow-env", "--allow-sys", "--no-prompt"]
    const [byName, byAddress] = elsewhere([], attempts, ["run", ...flags])
    holds(byName!, { tag: "ConnectionRefused", operation: "connect", address: "localhost:9" })
    holds(byAddress!, { tag: "PermissionDenied", operation: "connect", address: "127.0.0.1:9" })
  })
})

describe("with a permission for one address of this machine", () => {
  it.runIf(runtime === "deno")("Deno sends datagrams to a peer there", () => {
    const input = `
import { Effect } from "effect"
import { Udp } from "effect-netkit"
import { DenoNetwork } from "effect-netkit/deno"
const talk = Effect.gen(function*() {
  const peer = yield* Udp.bind("127.0.0.1:0")
  const socket = yield* Udp.connect(peer.address)
  yield* socket.send("hello")
  return (yield* peer.receive).bytes.length
})
console.log(await Effect.runPromise(Effect.scoped(talk).pipe(Effect.provide(DenoNetwork.layer))))`
    const flags = ["run", "--quiet", "--no-prompt", "--allow-net=127.0.0.1", "-"]
    const cwd = fileURLToPath(new URL("..", import.meta.url))
    expect(String(execFileSync(process.execPath, flags, { input, cwd, timeout: 15_000 }))).toBe("5\n")
  })
})

describe("without local ports", () => {
  const network = "ip link set lo up && echo 50000 50009 > /proc/sys/net/ipv4/ip_local_port_range"
  const skip = works("unshare", "-rn", "sh", "-c", network)
    ? undefined
    : "no network namespaces: unshare -rn and ip are needed"
  if (skip !== undefined) console.warn(`skipped: a connect for which no port is free: ${skip}`)

  it.skipIf(skip !== undefined)("a connect for which no port is free", () => {
    const served = { open: "connect", untilFailure: true, served: true }
    const attempts = [
      { ...served, address: "127.0.0.1:9000" },
      { ...served, address: "127.0.0.1:9001", options: { localAddress: "127.0.0.9" } },
      { ...served, address: "127.0.0.1:9002", options: { localPort: 0 } }
    ]
    const reports = elsewhere(["unshare", "-rn", "sh", "-c", `${network} && exec "$@"`, "sh"], attempts)
    reports.forEach((report, i) =>
      holds(report, {
        tag: "ResourceExhausted",
        operation: "connect",
        address: attempts[i]!.address,
        message: expect.stringContaining("no local port is free"),
        hasCause: true,
        transient: true
      })
    )
  })
})

describe("without descriptors", () => {
  it.skipIf(process.platform === "win32")("a connect too many", () =>
    Effect.runPromise(
      Effect.scoped(Effect.map(listen(), ({ address }) => {
        const attempts = [{ open: "connect", address: SocketAddress.format(address), untilFailure: true }]
        const [report] = elsewhere(["sh", "-c", `ulimit -n 256; exec "$@"`, "sh"], attempts)
        holds(report!, { tag: orRefused("ResourceExhausted"), operation: "connect", hasCause: true, transient: true })
      })).pipe(Effect.provide(RuntimeNetwork.layer))
    ))

  // Deno and Bun call this a name that has no address, and say nothing else of it.
  it.runIf(runtime === "node" && process.platform !== "win32")("a look-up too many", () =>
    Effect.runPromise(
      Effect.scoped(Effect.map(Net.listen("127.0.0.1:0"), ({ address }) => {
        const named = SocketAddress.format(address).replace("127.0.0.1", "localhost")
        const attempts = [{ open: "connect", address: named, untilFailure: true }]
        const [report] = elsewhere(["sh", "-c", `ulimit -n 256; exec "$@"`, "sh"], attempts)
        holds(report!, { tag: "ResourceExhausted", operation: "connect", hasCause: true, transient: true })
      })).pipe(Effect.provide(RuntimeNetwork.layer))
    ))

  it.skipIf(process.platform === "win32")("a listen too many", () => {
    const attempts = [{ open: "listen", address: "127.0.0.1:0", untilFailure: true }]
    const [report] = elsewhere(["sh", "-c", `ulimit -n 256; exec "$@"`, "sh"], attempts)
    holds(report!, { tag: "ResourceExhausted", operation: "listen", hasCause: true, transient: true })
  })
})
