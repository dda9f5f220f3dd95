/**
 * An echo server on `Deno.listen` alone, correct and no more: partial writes are carried on, half-close is passed on.
 */
import { deno, type DenoConn } from "../../adapters/deno/DenoApi.ts"
import { announce } from "./announce.ts"

const echo = async (connection: DenoConn): Promise<void> => {
  const buffer = new Uint8Array(65536)
  try {
    connection.setNoDelay?.(true)
    for (let n = await connection.read(buffer); n !== null; n = await connection.read(buffer)) {
      for (let sent = 0; sent < n;) sent += await connection.write(buffer.subarray(sent, n))
    }
  } catch {
    // A reset ends this connection alone.
  } finally {
    connection.close()
  }
}

const listener = deno().listen({ hostname: "127.0.0.1", port: 0 })
announce(listener.addr.port!)
for (;;) {
  try {
    void echo(await listener.accept())
  } catch {
    // A client that has gone before it was accepted.
  }
}
