/**
 * A TCP balancer: each connection goes to the backend with the fewest; those that are down get none until checks find them up.
 * Some backends first:  npm run -s example -- resp-server --port 6001    and so on
 * then this balancer:   npm run -s example -- load-balancer --port 6379 --backend 127.0.0.1:6001 --backend 127.0.0.1:6002
 * With --admin-port:    echo status | nc 127.0.0.1 PORT    also: drain HOST:PORT, undrain HOST:PORT
 */
import * as Console from "effect/Console"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { Server } from "effect-netkit"
import * as Flags from "../lib/Flags.ts"
import { run } from "../lib/Program.ts"
import { announce, listening } from "../lib/Sessions.ts"
import * as Tunnel from "../lib/Tunnel.ts"
import * as Admin from "./load-balancer/Admin.ts"
import { Backend } from "./load-balancer/Backend.ts"
import * as Balancer from "./load-balancer/Balancer.ts"

const { count, seconds } = Flags

const flags = {
  ...Flags.server,
  backend: {
    ...Flags.repeated("host:port", "a server to send connections to; may be repeated", Flags.address),
    required: true
  },
  maxConnections: Flags.optional("count", "how many connections one backend may have; any number if missing", count),
  connectTimeout: Flags.withDefault("seconds", "how long connecting may take", seconds, Duration.seconds(2)),
  checkInterval: Flags.withDefault("seconds", "how often backends are checked", seconds, Duration.seconds(2)),
  rise: Flags.withDefault("count", "checks that must succeed in a row for a backend to be up", count, 2),
  fall: Flags.withDefault("count", "checks that must fail in a row for a backend to be down", count, 3),
  drain: Flags.withDefault("seconds", "how long connections may go on after a signal", seconds, Duration.seconds(15)),
  adminPort: Flags.optional("port", "a port of 127.0.0.1 for status, drain and undrain; 0 takes a free one", Flags.port)
}

run(
  import.meta.url,
  flags,
  ({ adminPort, backend, drain, maxConnections = Infinity, ...flags }) =>
    Effect.gen(function* () {
      if (backend.length === 0) {
        yield* Console.error("--backend: at least one is needed")
        return yield* new Flags.Stopped({ exitCode: 2 })
      }
      const backends = backend.map((address) => new Backend(address))
      const options = { ...flags, backends, maxConnections }
      const balancer = yield* Server.serve(Server.make({
        ...listening(options),
        ...Tunnel.socketOptions,
        drainTimeout: drain,
        handler: Balancer.makeHandler(options)
      }))
      yield* announce(balancer.address)
      if (adminPort !== undefined) {
        const admin = yield* Server.serve(
          Server.make({ listen: { port: adminPort }, handler: Admin.makeHandler(backends) })
        )
        yield* Console.log(`admin on ${admin.address}`)
      }
      yield* Effect.forEach(backends, (backend) => Balancer.watch(backend, options), {
        concurrency: "unbounded"
      })
    })
)
