/**
 * A raw foreign peer: a short Python program with plain sockets, as a child process that ends with its scope.
 * The prelude gives it `sock`, and the verbs that differ most between kernels and runtimes: `reset`, `receive`.
 */
import { spawn, spawnSync } from "node:child_process"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"

/** Why there are no foreign peers on this machine; `undefined` where there are. */
export const noPython: string | undefined = spawnSync("python3", ["--version"]).status === 0
  ? undefined
  : "python3 not found: no raw peers"

const prelude = `
import hashlib, os, socket, struct, sys, threading, time
def reset(sock):
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()
def receive(sock, most=1 << 40):
    data = bytearray()
    while len(data) < most:
        chunk = sock.recv(min(65536, most - len(data)))
        if not chunk: break
        data += chunk
    return bytes(data)
def connect():
    return socket.create_connection(("127.0.0.1", int(sys.argv[1])))
def say(*words):
    print(*words, flush=True)
def wait():
    sys.stdin.readline()
`

export interface Peer {
  /** The next line that the program says. */
  readonly line: Effect.Effect<string>
  /** Lets a program go on that waits. */
  readonly go: Effect.Effect<void>
  /** All that it said, once it has ended well; dies with its complaint otherwise. */
  readonly ended: Effect.Effect<string>
}

const commandOf = (
  script: string,
  argument: number
): ReadonlyArray<string> => ["-c", prelude + script, String(argument)]

/** Starts a program; `argument` is the port it connects to. */
export const python = (script: string, argument = 0): Effect.Effect<Peer, never, Scope.Scope> =>
  Effect.gen(function* () {
    const child = yield* Effect.acquireRelease(
      Effect.sync(() => spawn("python3", commandOf(script, argument), { stdio: ["pipe", "pipe", "pipe"] })),
      (child) => Effect.sync(() => child.kill("SIGKILL"))
    )
    const end = yield* Deferred.make<string>()
    let said = ""
    let complaint = ""
    let read = 0
    let wake = () => {}
    child.stdin.on("error", () => {})
    child.stdout.on("data", (chunk) => {
      said += chunk
      wake()
    })
    child.stderr.on("data", (chunk) => complaint += chunk)
    child.on("close", (code) => {
      Deferred.unsafeDone(
        end,
        code === 0 ? Effect.succeed(said) : Effect.die(new Error(`the peer ended with ${code}: ${complaint}`))
      )
      wake()
    })
    const line = Effect.async<string>((resume) => {
      wake = () => {
        const at = said.indexOf("\n", read)
        if (at === -1) return
        const text = said.slice(read, at)
        read = at + 1
        wake = () => {}
        resume(Effect.succeed(text))
      }
      wake()
    })
    return {
      line: Effect.raceFirst(line, Effect.zipRight(Deferred.await(end), Effect.never)),
      go: Effect.sync(() => void child.stdin.write("\n")),
      ended: Deferred.await(end)
    }
  })

/** Runs a program to its end while this process does nothing else: its event loop stands still. */
export const pythonMeanwhile = (script: string, argument: number): string => {
  const { status, stderr, stdout } = spawnSync("python3", [...commandOf(script, argument)], { encoding: "utf8" })
  if (status !== 0) throw new Error(`the peer ended with ${status}: ${stderr}`)
  return stdout
}
