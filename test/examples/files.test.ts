/**
 * The programs that move files, as their users see them: child processes under every runtime, with plain sockets on the
 * other side, and with each other.
 */
import { randomBytes } from "node:crypto"
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync
} from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, describe, expect, it } from "vitest"
import { finish, type Runtime, runtimes, start, startServer, stopAll } from "./Child.ts"
import { makePeer } from "./Peer.ts"

const peer = makePeer()
const temporary = mkdtempSync(join(tmpdir(), "netkit-files-"))

afterAll(() => {
  stopAll()
  peer.stop()
  rmSync(temporary, { recursive: true, force: true })
})

const newFolder = () => mkdtempSync(join(temporary, "case-"))

const stop = async (server: Awaited<ReturnType<typeof startServer>>) => {
  server.signal("SIGTERM")
  return await server.ended
}

// One runtime at a time: several processes in each test would wait for each other's turn.
describe.each(runtimes)(`under %s, against ${peer.language}`, { timeout: 60_000 }, (runtime: Runtime) => {
  const isLast = runtime === runtimes.at(-1)

  it.runIf(isLast).each(["file-server", "file-client", "remote-copy"])("%s --help", async (name) => {
    const { code, stderr, stdout } = await finish(runtime, name, ["--help"])
    expect(stdout).toMatch(/usage/)
    expect(stdout).toContain(`npm run -s example -- ${name}`)
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" })
  })

  it.runIf(isLast).each([
    { name: "file-server", flags: [], line: "--port" },
    { name: "file-server", flags: ["--port", "0", "--root", "/none"], line: "^--root /none: not a folder$" },
    { name: "file-client", flags: ["--file", "a/.."], line: "^--file a/..: not a file name$" },
    { name: "file-client", flags: ["--prefix", "../"], line: "^--prefix ../: not a part of a file name$" },
    { name: "remote-copy", flags: ["push", "a"], line: "^push a: not push SRC DST or pull SRC DST$" },
    { name: "remote-copy", flags: ["move", "a", "b"], line: "^move a b: not" }
  ])("wrong: $name $flags", async ({ flags, line, name }) => {
    const { code, stderr, stdout } = await finish(runtime, name, flags)
    expect(stderr).toMatch(new RegExp(line, "m"))
    expect(stderr).toMatch(/^usage/m)
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" })
  })

  describe("file-server", () => {
    const root = join(newFolder(), "served")
    const outside = join(root, "..", "outside")
    mkdirSync(join(root, "sub"), { recursive: true })
    mkdirSync(outside)
    const large = randomBytes(3_000_000)
    writeFileSync(join(root, "a.txt"), "content")
    writeFileSync(join(root, "empty"), "")
    writeFileSync(join(root, "sub", "文件"), large)
    writeFileSync(join(outside, "secret"), "secret")
    symlinkSync("../outside", join(root, "out"))
    symlinkSync("/nowhere/at/all", join(root, "dangling"))
    symlinkSync("sub", join(root, "in"))
    symlinkSync("loop", join(root, "loop"))

    const serve = (flags: ReadonlyArray<string> = []) => startServer(runtime, "file-server", ["--root", root, ...flags])

    it("serves what is in its root and nothing else", async () => {
      const server = await serve()
      const fetch = async (name: string) => {
        const client = await peer.connect(server.port)
        await client.send(name)
        const content = await client.readToEnd()
        await client.close()
        return content
      }
      const silent = await peer.connect(server.port)
      for (const name of ["a.txt", "a.txt\n", "a.txt\r\n", "./sub/../a.txt"]) {
        expect([name, String(await fetch(name))]).toEqual([name, "content"])
      }
      for (const name of ["sub/文件", "in/文件"]) expect(large.equals(await fetch(name))).toBe(true)

      const missing = ["none", "sub", ".", "loop", "a.txt/x", "x".repeat(300), "empty/../none"]
      const refused = [
        "../served/a.txt",
        "sub/../../served/a.txt",
        "none/../../none",
        join(root, "a.txt"),
        "out/secret",
        "out/none",
        "out/../a.txt",
        "dangling"
      ]
      for (const name of [...missing, ...refused, "empty"]) {
        expect([name, String(await fetch(name))]).toEqual([name, ""])
      }
      await silent.close()

      const { code, stderr, stdout } = await stop(server)
      const lines = stdout.split("\n")
      for (const name of missing) expect(lines).toContain(`no such file: ${name}`)
      for (const name of refused) expect(lines).toContain(`refused: ${name}`)
      expect(lines.filter((line) => /^(no such file|refused): /.test(line))).toHaveLength(
        missing.length + refused.length
      )
      expect({ code, stderr }).toEqual({ code: 0, stderr: "" })
    })

    it("puts a name together whose character was split, also in GBK", async () => {
      const server = await serve(["--encoding", "gbk"])
      const client = await peer.connect(server.port)
      const gbk = Uint8Array.of(0x73, 0x75, 0x62, 0x2f, 0xce, 0xc4, 0xbc, 0xfe)
      await client.send(gbk.subarray(0, 5))
      await new Promise((resolve) => setTimeout(resolve, 200))
      await client.send(gbk.subarray(5))
      expect(large.equals(await client.readToEnd())).toBe(true)
      await stop(server)
    })

    it("does not end half a file as if it were whole", async () => {
      const shrinking = join(root, "shrinking")
      writeFileSync(shrinking, "")
      truncateSync(shrinking, 100_000_000)
      const server = await serve()
      const client = await peer.connect(server.port)
      await client.send("shrinking")
      await client.receive()
      truncateSync(shrinking, 10)
      await expect(client.readToEnd()).rejects.toThrow(/reset/i)
      await server.line(/^broken off \(send .*: the file ended after \d+ of 100000000 bytes\): shrinking$/)

      // The other way: who goes away ends nobody else's session.
      const gone = await peer.connect(server.port)
      await gone.send("sub/文件")
      await gone.receive()
      await gone.reset()
      await server.line(new RegExp(`^client left ${gone.address}$`))
      expect(await stop(server)).toMatchObject({ code: 0, stderr: "" })
    })
  })

  describe("file-client", () => {
    const dial = async (flags: ReadonlyArray<string>) => {
      const listener = await peer.listen()
      const client = await start(runtime, "file-client", ["--port", String(listener.port), ...flags])
      const socket = await listener.accept()
      return { client, socket, request: String(await socket.receive()) }
    }

    it("asks, and saves what comes under a name of its own", async () => {
      const dir = newFolder()
      const listener = await peer.listen()
      const input = `127.0.0.1\n${listener.port}\n..\n\nfolder/文件.txt`
      const ended = finish(runtime, "file-client", ["--dir", dir], { input })
      const socket = await listener.accept()
      expect(String(await socket.receive())).toBe("folder/文件.txt")
      const content = randomBytes(500_000)
      await socket.send(content.subarray(0, 1))
      await socket.send(content.subarray(1))
      await socket.close()
      const path = join(dir, "[接收]文件.txt")
      expect(await ended).toEqual({ code: 0, stdout: `saved 500000 bytes to ${path}\n`, stderr: "" })
      expect(content.equals(readFileSync(path))).toBe(true)
      expect(readdirSync(dir)).toEqual(["[接收]文件.txt"])
    })

    it("saves nothing where nothing was sent", async () => {
      const dir = newFolder()
      const { client, socket } = await dial(["--file", "none", "--dir", dir])
      await socket.close()
      const { code, stderr, stdout } = await client.ended
      expect(stderr).toMatch(/^none: the server sent nothing; .*\n$/)
      expect({ code, stdout }).toEqual({ code: 1, stdout: "" })
      expect(readdirSync(dir)).toEqual([])
    })

    it("keeps an older file, and no half one, when the transfer breaks or is stopped", async () => {
      const dir = newFolder()
      writeFileSync(join(dir, "下载f"), "older")
      const flags = ["--file", "f", "--dir", dir, "--prefix", "下载"]
      const reset = await dial(flags)
      expect(reset.request).toBe("f")
      await reset.socket.send(randomBytes(500_000))
      await reset.socket.reset()
      const { code, stderr, stdout } = await reset.client.ended
      expect(stderr).toMatch(/^read from 127\.0\.0\.1:\d+: connection reset by the peer\n$/)
      expect({ code, stdout }).toEqual({ code: 1, stdout: "" })

      const stopped = await dial(flags)
      await stopped.socket.send("half")
      while (readdirSync(dir).length === 1) await new Promise((resolve) => setTimeout(resolve, 20))
      stopped.client.signal("SIGINT")
      expect(await stopped.client.ended).toEqual({ code: 0, stdout: "", stderr: "" })
      expect(readdirSync(dir)).toEqual(["下载f"])
      expect(readFileSync(join(dir, "下载f"), "utf8")).toBe("older")
    })
  })

  describe.skipIf(process.platform === "win32")("remote-copy", () => {
    /** Names, kinds, permissions and contents. */
    const tree = (folder: string, path = ""): ReadonlyArray<string> => {
      const at = join(folder, path)
      const { mode, size } = statSync(at)
      const isFolder = statSync(at).isDirectory()
      const inside = isFolder ? readdirSync(at).sort().flatMap((name) => tree(folder, join(path, name))) : []
      const content = isFolder ? "" : readFileSync(at).toString("base64").slice(0, 100_000)
      return [`${path} ${(mode & 0o7777).toString(8)} ${isFolder ? "" : size} ${content}`, ...inside]
    }

    const makeTree = () => {
      const folder = join(newFolder(), "source")
      mkdirSync(join(folder, "sub", "empty folder"), { recursive: true })
      writeFileSync(join(folder, "large"), randomBytes(2_000_000))
      writeFileSync(join(folder, "sub", "empty"), "")
      writeFileSync(join(folder, "sub", "文件.sh"), "#!/bin/sh\n", { mode: 0o755 })
      writeFileSync(join(folder, "sub", "secret"), "secret", { mode: 0o600 })
      chmodSync(join(folder, "sub", "secret"), 0o400)
      chmodSync(join(folder, "sub"), 0o755)
      chmodSync(join(folder, "sub", "empty folder"), 0o700)
      return folder
    }

    const listen = async () => {
      const root = join(newFolder(), "served")
      mkdirSync(root)
      return { root, server: await startServer(runtime, "remote-copy", ["--listen", "--root", root]) }
    }

    const frame = (message: object) => {
      const payload = Buffer.from(JSON.stringify(message))
      const length = Buffer.alloc(4)
      length.writeUInt32BE(payload.length)
      return Buffer.concat([length, payload])
    }

    it("shows both directions without arguments", async () => {
      const { code, stderr, stdout } = await finish(runtime, "remote-copy")
      expect(stdout).toMatch(/^names, sizes and permissions are the same: yes$/m)
      expect({ code, stderr }).toEqual({ code: 0, stderr: "" })
    })

    it("pushes and pulls folders and files with all that is in them", async () => {
      const { root, server } = await listen()
      const source = makeTree()
      const run = (...words: ReadonlyArray<string>) =>
        finish(runtime, "remote-copy", [...words, "--port", String(server.port)], { second: true })
      symlinkSync("/etc", join(source, "link"))
      const pushed = await run("push", source, "copy")
      expect(pushed.stdout).toContain("skipped: link: neither a file nor a folder\n")
      expect(pushed.stdout).toContain(`push: 4 files, 3 folders, 2000016 bytes: ${source} -> copy\n`)
      expect({ code: pushed.code, stderr: pushed.stderr }).toEqual({ code: 0, stderr: "" })
      rmSync(join(source, "link"))
      expect(tree(join(root, "copy"))).toEqual(tree(source))

      // Into a folder that is there, under its own name; over what is there; a single file to a name of its own.
      const back = newFolder()
      expect(await run("pull", "copy", back)).toMatchObject({ code: 0, stderr: "" })
      expect(await run("pull", "copy", back)).toMatchObject({ code: 0, stderr: "" })
      expect(tree(join(back, "copy"))).toEqual(tree(source))
      expect(await run("pull", "copy/sub/文件.sh", join(back, "script"))).toMatchObject({ code: 0, stderr: "" })
      expect(statSync(join(back, "script")).mode & 0o777).toBe(0o755)
      expect(await run("push", join(source, "large"), ".")).toMatchObject({ code: 0, stderr: "" })
      expect(readFileSync(join(root, "large")).equals(readFileSync(join(source, "large")))).toBe(true)

      const missing = await run("pull", "none", back)
      expect(missing.stderr).toMatch(/^the other side says: NotFound.*\n$/)
      expect(missing.code).toBe(1)
      expect(await run("push", join(source, "none"), ".")).toMatchObject({ code: 1, stdout: "" })
      expect(await stop(server)).toMatchObject({ code: 0, stderr: "" })
    })

    it("refuses names that leave the root", async () => {
      const { root, server } = await listen()
      mkdirSync(join(root, "..", "outside"))
      symlinkSync("../outside", join(root, "out"))
      for (const path of ["../outside/x", "/tmp/x", "out/x", "a/../../x"]) {
        for (const _tag of ["Push", "Pull"]) {
          const client = await peer.connect(server.port)
          await client.send(frame({ _tag, path }))
          expect(String(await client.readToEnd())).toContain(`{"_tag":"Failed","reason":"refused: ${path}"}`)
          await client.close()
        }
      }
      for (const path of ["../x", "/tmp/x", "out/x"]) {
        const client = await peer.connect(server.port)
        const entry = { _tag: "File", path, mode: 0o644, size: 4 }
        const messages = [{ _tag: "Push", path: "" }, { _tag: "Offer", name: ".", bytes: 4 }, entry]
        await client.send(Buffer.concat([...messages.map(frame), Buffer.from("evil")]))
        expect(String(await client.readToEnd())).toContain(`"reason":"refused: ${path}"`)
        await client.close()
      }
      expect(readdirSync(join(root, "..", "outside"))).toEqual([])
      expect(readdirSync(join(root, ".."))).toEqual(["outside", "served"])
      expect(readdirSync(root)).toEqual(["out"])
      expect((await stop(server)).stdout).toContain("refused: ../outside/x\n")

      // A server that means harm, too.
      const listener = await peer.listen()
      const into = join(newFolder(), "into")
      mkdirSync(into)
      const port = String(listener.port)
      const client = await start(runtime, "remote-copy", ["pull", "x", into, "--port", port])
      const socket = await listener.accept()
      await socket.receive()
      await socket.send(frame({ _tag: "Offer", name: "../evil", bytes: 4 }))
      const { code, stderr } = await client.ended
      expect({ code, stderr }).toEqual({ code: 1, stderr: "refused: ../evil\n" })
      expect(existsSync(join(into, "..", "evil"))).toBe(false)
    })

    it("gives no name to half a file, in whatever way the copy breaks off", async () => {
      const { root, server } = await listen()
      writeFileSync(join(root, "file"), "older")
      const messages = [
        { _tag: "Push", path: "file" },
        { _tag: "Offer", name: "file", bytes: 1000 },
        { _tag: "File", path: "", mode: 0o644, size: 1000 }
      ]
      for (const end of ["close", "reset"] as const) {
        const client = await peer.connect(server.port)
        await client.send(Buffer.concat([...messages.map(frame), Buffer.from("half")]))
        while (readdirSync(root).length === 1) await new Promise((resolve) => setTimeout(resolve, 20))
        await client[end]()
        await server.line(/^broken off: /)
        await server.line(new RegExp(`^client left ${client.address}$`))
        expect(readdirSync(root)).toEqual(["file"])
      }
      const silent = await peer.connect(server.port)
      await silent.send(frame({ _tag: "Offer", name: "x", bytes: 1 }))
      expect(String(await silent.readToEnd())).toBe("")
      expect(readFileSync(join(root, "file"), "utf8")).toBe("older")
      expect(await stop(server)).toMatchObject({ code: 0, stderr: "" })
    })
  })
})
