/**
 * How a pool sees the end of what it keeps, by the connection under it: fields to look at when it is lent, and a callback while it is idle.
 * The runtime is let read from an idle connection, since none tells of the peer's FIN while it is paused.
 */
import type { Connection } from "../Connection.ts"
import type { Framed } from "../Framed.ts"
import { ConnectionImpl } from "./connection.ts"
import { FramedImpl } from "./framed.ts"
import type { Watched } from "./poolItem.ts"

type Channel = Connection | Framed<unknown, never>

/** None where it tells of no connection. */
export const watchedIn = <A>(value: A, channelOf: ((item: A) => Channel) | undefined): Watched | undefined => {
  const channel: unknown = channelOf === undefined ? value : channelOf(value)
  const framed = channel instanceof FramedImpl ? channel : undefined
  const connection = framed === undefined ? channel : framed.connection
  if (!(connection instanceof ConnectionImpl)) return undefined
  return {
    fault: (used) => {
      if (connection.spent) return "closed"
      if (!used || (connection.inbound.queue.size === 0 && framed?.settled !== false)) return undefined
      return "unexpectedBytes"
    },
    watch: (listener) => connection.inbound.watch(listener),
    written: () => connection.outbound.total
  }
}
