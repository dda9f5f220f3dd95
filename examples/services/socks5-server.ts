/**
 * A SOCKS 5 proxy: CONNECT to IPv4, IPv6 and names, which it looks up itself; with user and password, or open to all.
 * This server first:  npm run -s example -- socks5-server --port 1080
 * then a client:      curl --socks5-hostname 127.0.0.1:1080 http://example.com/
 */
import * as Duration from "effect/Duration"
import * as Either from "effect/Either"
import { Server } from "effect-netkit"
import * as Flags from "../lib/Flags.ts"
import { run } from "../lib/Program.ts"
import { announced, listening, serve } from "../lib/Sessions.ts"
import * as Tunnel from "../lib/Tunnel.ts"
import * as Socks5Server from "./socks5/Socks5Server.ts"

const credentials: Flags.Parser<{ readonly name: string; readonly password: string }> = (text) => {
  const [, name, password] = /^([^:]{1,255}):(.{1,255})$/s.exec(text) ?? []
  return name === undefined || password === undefined ? Either.left("name:password") : Either.right({ name, password })
}

const seconds = (count: number) => Duration.seconds(count)

const flags = {
  ...Flags.server,
  port: { ...Flags.server.port, missing: 1080 },
  user: Flags.optional("name:password", "who may use it; everybody if missing", credentials),
  allow: Flags.repeated("CIDR", "addresses it may connect to, and no others; may be repeated", Flags.cidr),
  deny: Flags.repeated("CIDR", "addresses it must not connect to; may be repeated", Flags.cidr),
  handshakeTimeout: Flags.withDefault("seconds", "how long a handshake may take", Flags.seconds, seconds(10)),
  connectTimeout: Flags.withDefault("seconds", "how long connecting may take", Flags.seconds, seconds(10)),
  drain: Flags.withDefault("seconds", "how long tunnels may go on after a signal", Flags.seconds, seconds(2))
}

run(import.meta.url, flags, ({ drain, user, ...options }) =>
  serve(Server.make({
    ...listening(options),
    ...Tunnel.socketOptions,
    drainTimeout: drain,
    handler: announced(Socks5Server.makeHandler({ ...options, credentials: user }))
  })))
