/**
 * One server in many processes under every runtime: all of them serve, one that is killed comes back, a signal under load loses nothing that
 * was accepted, the exit code tells who was cut off, and no process is left. And the SDK's server as it is under `node:cluster`.
 */
import { spawnSync } from "node:child_process"
import * as net from "node:net"
import { fileURLToPath } from "node:url"
import { afterEach, describe, expect, it } from "vitest"
import { finish, type Runtime, runtimes, startServer, stopAll } from "../examples/Child.ts"

afterEach(stopAll)

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

const until = async (condition: () => boolean | Promise<boolean>) => {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 20))
}

/** One connection that asks a number of times, or until it is ended: how many questions were sent, which answers came. */
const talk = (port: number, questions: number): Promise<{ readonly sent: number; readonly answers: Array<string> }> =>
  new Promise((resolve) => {
    const socket = net.connect({ port, host: "127.0.0.1", noDelay: true, allowHalfOpen: true }).setEncoding("utf8")
    const answers: Array<string> = []
    let sent = 0
    let text = ""
    const next = () => {
      if (sent === questions) return socket.end()
      socket.write(`question ${sent++}\n`)
    }
    const end = () => {
      socket.destroy()
      resolve({ sent, answers })
    }
    socket.on("connect", next)
    socket.on("data", (part) => {
      text += part
      for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n")) {
        answers.push(text.slice(0, at))
        text = text.slice(at + 1)
        next()
      }
    })
    socket.on("end", end).on("error", end)
  })

const start = async (runtime: Runtime, ...flags: ReadonlyArray<string>) => {
  const server = await startServer(runtime, "many-processes", ["--workers", "3", ...flags])
  const pids: Array<number> = []
  const started = async (id: string) => {
    const [, worker, pid] = await server.line(new RegExp(`^worker (${id}) is process (\\d+)$`))
    pids.push(Number(pid))
    return { worker, pid: Number(pid) }
  }
  for (let i = 0; i < 3; i++) await started("\\d")
  const serving = async (): Promise<ReadonlyArray<number>> => {
    const talks = await Promise.all(Array.from({ length: 60 }, () => talk(server.port, 1)))
    return [...new Set(talks.flatMap(({ answers }) => answers.map((answer) => Number(answer.split(" ")[0]))))].sort()
  }
  return { ...server, pids, serving, started }
}

describe.each(runtimes)("under %s", { timeout: 30_000 }, (runtime) => {
  it("all serve; one that is killed comes back, the first too, and the others serve on", async () => {
    const { ended, pids, serving, signal, started } = await start(runtime)
    await until(async () => (await serving()).length === 3)
    expect(await serving()).toEqual([...pids].sort())
    for (const victim of pids.slice(0, 2)) {
      process.kill(victim, "SIGKILL")
      const { pid } = await started("\\d")
      expect(pid).not.toBe(victim)
      await until(async () => (await serving()).includes(pid))
      expect(await serving()).not.toContain(victim)
    }
    signal("SIGTERM")
    const { code, stderr } = await ended
    expect({ code, stderr }).toEqual({
      code: 0,
      stderr: expect.stringMatching(/^(worker \d ended by itself \(SIGKILL\)\n){2}$/)
    })
    expect(pids.filter(isAlive)).toEqual([])
  })

  it("a signal under load: every question that a worker has read is answered", async () => {
    const { ended, pids, port, signal } = await start(runtime)
    let going = true
    const results: Array<{ readonly sent: number; readonly answers: Array<string> }> = []
    const load = Array.from({ length: 20 }, async () => {
      while (going) results.push(await talk(port, 50))
    })
    await until(() => results.length > 40)
    signal("SIGTERM")
    const { code, stderr, stdout } = await ended
    going = false
    await Promise.all(load)
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" })
    for (const { answers } of results) {
      answers.forEach((answer, i) => expect(answer).toMatch(new RegExp(`^\\d+ question ${i}$`)))
    }
    const answered = results.reduce((sum, { answers }) => sum + answers.length, 0)
    const read = [...stdout.matchAll(/^process \d+ has answered (\d+) lines$/gm)].map(([, lines]) => Number(lines))
    expect(read.length).toBe(3)
    expect(read.reduce((sum, lines) => sum + lines, 0)).toBe(answered)
    expect(pids.filter(isAlive)).toEqual([])
  })

  it("the exit code tells that somebody was cut off", async () => {
    const { ended, pids, port, signal } = await start(runtime, "--drain", "0.3")
    const socket = net.connect(port, "127.0.0.1").on("error", () => {})
    socket.write("a whole line\nhalf a line")
    await new Promise((resolve) => socket.once("data", resolve))
    signal("SIGTERM")
    const { code, stderr } = await ended
    expect(code).toBe(1)
    expect(stderr).toMatch(/connections cut off: 1\n(.|\n)*had to be killed: 1\n/)
    expect(pids.filter(isAlive)).toEqual([])
  })

  it("workers end when their parent is killed", async () => {
    const { ended, pids, signal } = await start(runtime)
    signal("SIGKILL")
    await ended
    await until(() => pids.filter(isAlive).length === 0)
  })

  it("says why it cannot start", async () => {
    const other = net.createServer().listen(0, "127.0.0.1")
    await new Promise((resolve) => other.once("listening", resolve))
    const { port } = other.address() as net.AddressInfo
    const { code, stderr } = await finish(runtime, "many-processes", ["--port", String(port), "--workers", "2"])
    other.close()
    expect(code).toBe(1)
    expect(stderr).toMatch(/address already in use/)
  })
})

it(
  "node:cluster: a server that stops accepting, starts again, and drains, in one worker of two",
  { timeout: 30_000 },
  () => {
    const script = fileURLToPath(new URL("cluster.ts", import.meta.url))
    const { stdout, stderr } = spawnSync("node", ["--import", "tsx", script], { encoding: "utf8", timeout: 20_000 })
    expect({ stdout: stdout.trimEnd().split("\n"), stderr }).toEqual({
      stdout: [
        "both: worker 1, worker 2",
        "one suspended: worker 2",
        "both suspended: ECONNREFUSED",
        "resumed: Right, worker 1",
        "resumed: Right, worker 1, worker 2",
        "draining: the other one",
        "drained: answered, 0 cut off"
      ],
      stderr: ""
    })
  }
)
