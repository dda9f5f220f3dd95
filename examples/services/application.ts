/**
 * One application of four servers, composed from Layers and configured by the environment: Redis' protocol, a chat, a name server,
 * and a port that tells the metrics of all, over HTTP or plain. On SIGTERM all stop accepting at once, then each answers what has come.
 * This application:  npm run -s example -- application
 * then its clients:  redis-cli -p 6380 set a 1; nc 127.0.0.1 7788; dig @127.0.0.1 -p 5300 www.example.test; curl 127.0.0.1:9090/metrics
 * Every option of a server is a variable of the environment: CHAT_LISTEN=0.0.0.0:7788 CHAT_MAX_CONNECTIONS=100 RESP_DRAIN_TIMEOUT="5 seconds"
 */
import * as Config from "effect/Config"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Console from "effect/Console"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { readFile } from "node:fs/promises"
import { Server } from "effect-netkit"
import { run } from "../lib/Program.ts"
import * as Chat from "./application/Chat.ts"
import * as DnsServer from "./dns/DnsServer.ts"
import * as ZoneFile from "./dns/ZoneFile.ts"
import * as MetricsServer from "./metrics/MetricsServer.ts"
import * as RespServer from "./resp/RespServer.ts"

/** Clients that may be silent for ever: who listens to a chat, or keeps a connection for later. */
const patient = { firstByteTimeout: Duration.infinity, idleTimeout: Duration.infinity }

/** A server under a name, with settings nested in that name, which says where it listens. */
const service = <E, R, R2>(
  name: string,
  listen: string,
  make: (settings: Server.Settings) => Effect.Effect<Server.Server<R2, Server.Started>, E, R>,
  defaults: Partial<Server.Settings> = {}
) =>
  Layer.scopedDiscard(Effect.gen(function* () {
    const settings = yield* Config.nested(Server.config({ ...defaults, name, listen }), name)
    const server = yield* make(settings)
    const { address } = yield* server.serve
    yield* Console.log(`${name} listening on ${address}`)
  }))

const Resp = service("resp", "127.0.0.1:6380", (settings) =>
  Effect.gen(function* () {
    const megabytes = yield* Config.withDefault(Config.integer("megabytes"), 256).pipe(Config.nested("resp"))
    return Server.make({ ...settings, handler: yield* RespServer.makeHandler(megabytes * 1024 * 1024) })
  }), patient)

const ChatRoom = service("chat", "127.0.0.1:7788", Chat.make, patient)

const Names = service("dns", "127.0.0.1:5300", (settings) =>
  Effect.gen(function* () {
    const file = new URL("dns/example.zone", import.meta.url)
    const zone = yield* ZoneFile.parse(yield* Effect.promise(() => readFile(file, "utf8")), "example.zone")
    return DnsServer.make({ ...settings, zone })
  }))

const Metrics = service(
  "metrics",
  "127.0.0.1:9090",
  (settings) => Effect.succeed(Server.make({ ...settings, handler: MetricsServer.handler }))
)

const environment = ConfigProvider.fromEnv({ pathDelim: "_" }).pipe(ConfigProvider.constantCase)

run(import.meta.url, {}, () =>
  Layer.mergeAll(Resp, ChatRoom, Names, Metrics).pipe(
    Layer.provide(Layer.setConfigProvider(environment)),
    Layer.launch
  ))
