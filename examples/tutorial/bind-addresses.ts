/**
 * Who can reach a server (T4 1.2): one bound to all interfaces, one to 127.0.0.1, each dialled by every address.
 * All of it runs here:  npm run -s example -- bind-addresses
 * Another address, too: npm run -s example -- bind-addresses --try 192.0.2.7
 */
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import { Net, Server, SocketAddress } from "effect-netkit"
import { networkInterfaces } from "node:os"
import * as Flags from "../lib/Flags.ts"
import { run } from "../lib/Program.ts"
import { table } from "../lib/Table.ts"

const flags = { try: Flags.optional("host", "one more address to dial", Flags.host) }

/** The network's view of this machine: its addresses but those of loopback. */
const outside = Object.entries(networkInterfaces()).flatMap(([name, addresses = []]) =>
  addresses
    .filter(({ family, internal }) => family === "IPv4" && !internal)
    .map(({ address }) => [address, `the network at ${name}`] as const)
)

/** What is dialled, and who could do so. */
const addresses = (more: string | undefined) => [
  ["127.0.0.1", "this machine"] as const,
  ["127.0.0.2", "this machine"] as const,
  ["::1", "this machine, over IPv6"] as const,
  ...outside,
  ...(more === undefined ? [] : [[more, "--try"] as const])
]

const server = (host: string) => Server.make({ listen: { host, port: 0 }, handler: () => Effect.void })

const dial = (host: string, port: number) =>
  Effect.scoped(Net.connect({ host, port }, { connectTimeout: "1 second" })).pipe(
    Effect.match({ onSuccess: () => "reached", onFailure: (error) => error._tag })
  )

run(import.meta.url, flags, (values) =>
  Effect.gen(function* () {
    const running = yield* Effect.forEach(["0.0.0.0", "127.0.0.1"], (host) => server(host).serve)
    const servers = running.map(({ address }) => address).filter(SocketAddress.isInetAddress)
    const row = ([host, who]: readonly [host: string, who: string]) =>
      Effect.map(Effect.forEach(servers, ({ port }) => dial(host, port)), (results) => [host, who, ...results])
    const rows = yield* Effect.forEach(addresses(values.try), row)
    yield* Console.log(table([["dialled", "open to", ...servers.map((address) => `bound to ${address}`)], ...rows]))
  }))
