/**
 * Where a proxy may connect, and connecting there. A name is looked up here once; what was judged is what is dialled, so a name whose
 * addresses change in between leads nowhere else, and an address that is not allowed is never touched.
 */
import { Net, NetError, SocketAddress } from "effect-netkit"
import * as Data from "effect/Data"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { socketOptions } from "../../lib/Tunnel.ts"

/** Which addresses are allowed: all that are in `allow`, or all if it is empty, without those in `deny`. */
export interface Rules {
  readonly allow: ReadonlyArray<SocketAddress.Cidr>
  readonly deny: ReadonlyArray<SocketAddress.Cidr>
}

/** The destination has no address that the rules allow. */
export class NotAllowed extends Data.TaggedError("NotAllowed")<{ readonly destination: SocketAddress.InetAddress }> {
  override get message(): string {
    return `${this.destination}: not allowed`
  }
}

/** Connects to a destination: to the first of its addresses that is allowed and answers. */
export const connect = (destination: SocketAddress.InetAddress, rules: Rules, timeout: Duration.Duration) => {
  const options = { ...socketOptions, connectTimeout: timeout }
  // Without rules there is nothing to judge, and the addresses of a name may race.
  if (rules.allow.length + rules.deny.length === 0) return Net.connect(destination, options)
  const connecting = Effect.gen(function* () {
    const allowed = (yield* Net.lookup(destination.host)).filter((host) => isAllowed(host, rules))
    if (allowed.length === 0) return yield* new NotAllowed({ destination })
    return yield* Effect.firstSuccessOf(allowed.map((host) => Net.connect({ host, port: destination.port }, options)))
  })
  const late = () => new NetError.ConnectTimeout({ operation: "connect", address: destination, timeout })
  return Effect.timeoutFail(connecting, { duration: timeout, onTimeout: late })
}

/** The unspecified address stands for this machine when it is dialled, whatever the rules say of 127.0.0.1. */
const isAllowed = (host: string, { allow, deny }: Rules): boolean =>
  !SocketAddress.isUnspecified(host) && !SocketAddress.matches(deny, host) &&
  (allow.length === 0 || SocketAddress.matches(allow, host))
