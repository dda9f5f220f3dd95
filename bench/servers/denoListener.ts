/**
 * What the bare servers of Deno share: a listener that tells its port and gives each connection to `serve`.
 */
import { deno, type DenoConn } from "../../adapters/deno/DenoApi.ts"
import { announce } from "./announce.ts"

/** `serve` closes the connection and never fails. */
export const listen = async (serve: (connection: DenoConn) => Promise<void>): Promise<never> => {
  const listener = deno().listen({ hostname: "127.0.0.1", port: 0 })
  announce(listener.addr.port!)
  for (;;) {
    try {
      void serve(await listener.accept())
    } catch {
      // A client that has gone before it was accepted.
    }
  }
}
