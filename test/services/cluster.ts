/**
 * A server of the SDK in two workers of node:cluster, which stop and start accepting when the primary tells them; prints what was seen.
 */
import { Effect } from "effect"
import { Server } from "effect-netkit"
import { NodeNetwork } from "effect-netkit/node"
import cluster, { type Worker } from "node:cluster"
import { once } from "node:events"
import * as net from "node:net"

const ask = (port: number): Promise<string> =>
  new Promise((resolve) => {
    const socket = net.connect(port, "127.0.0.1").setEncoding("utf8")
    socket.end("xx")
    socket.once("data", resolve)
    socket.once("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message))
    socket.once("end", () => resolve("end"))
  })

const primary = async () => {
  const probe = net.createServer().listen(0, "127.0.0.1")
  await once(probe, "listening")
  const { port } = probe.address() as net.AddressInfo
  await new Promise((resolve) => probe.close(resolve))
  const workers = [1, 2].map(() => cluster.fork({ CLUSTER_PORT: String(port) }))
  await Promise.all(workers.map((worker) => once(worker, "message")))
  const tell = async (worker: Worker, command: string) => {
    worker.send(command)
    return (await once(worker, "message"))[0]
  }
  const seen = async () => {
    const answers = []
    for (let i = 0; i < 20; i++) answers.push(await ask(port))
    return [...new Set(answers)].sort().join(", ")
  }
  const [one, two] = workers as [Worker, Worker]
  console.log(`both: ${await seen()}`)
  await tell(one, "suspend")
  console.log(`one suspended: ${await seen()}`)
  await tell(two, "suspend")
  console.log(`both suspended: ${await seen()}`)
  console.log(`resumed: ${await tell(one, "resume")}, ${await seen()}`)
  console.log(`resumed: ${await tell(two, "resume")}, ${await seen()}`)
  const open = net.connect(port, "127.0.0.1").setEncoding("utf8")
  await once(open, "connect")
  // One message, and half of another.
  open.write("xxx")
  const [name] = await once(open, "data")
  const [busy, other] = name === "worker 1" ? [one, two] : [two, one]
  busy.send("stop")
  await new Promise((resolve) => setTimeout(resolve, 100))
  console.log(`draining: ${(await seen()) === `worker ${other.id}` ? "the other one" : "somebody else"}`)
  open.end("x")
  const [last] = await once(open, "data")
  const [report] = await once(busy, "message")
  console.log(`drained: ${last === name ? "answered" : last}, ${report}`)
  for (const worker of workers) worker.process.kill("SIGKILL")
}

const worker = Effect.gen(function* () {
  const server = yield* Server.serve(Server.make({
    listen: { host: "127.0.0.1", port: Number(process.env["CLUSTER_PORT"]) },
    handler: (connection) =>
      Effect.forever(Effect.zipRight(connection.readExactly(2), connection.write(`worker ${cluster.worker!.id}`)))
  }))
  const answer = (text: string) => Effect.sync(() => void process.send!(text))
  const commands: Record<string, Effect.Effect<unknown>> = {
    suspend: Effect.zipRight(server.suspend, answer("done")),
    resume: Effect.flatMap(Effect.either(server.resume), ({ _tag }) => answer(_tag)),
    stop: Effect.flatMap(server.stop, ({ cutOff }) => answer(`${cutOff} cut off`))
  }
  process.on("message", (command) => void Effect.runPromise(commands[String(command)] ?? Effect.void))
  yield* answer(String((server.address as { readonly port?: number }).port))
  return yield* Effect.never
}).pipe(Effect.scoped, Effect.provide(NodeNetwork.layer))

if (cluster.isPrimary) void primary()
else void Effect.runPromise(worker)
