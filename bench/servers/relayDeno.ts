/**
 * A proxy on `Deno.listen` and `Deno.connect` alone: two loops with a buffer each, which pass on half-close; an error ends both.
 */
import * as process from "node:process"
import { deno, type DenoConn } from "../../adapters/deno/DenoApi.ts"
import { listen } from "./denoListener.ts"

const upstream = { hostname: "127.0.0.1", port: Number(process.argv[3]) }

const copy = async (from: DenoConn, to: DenoConn): Promise<void> => {
  const buffer = new Uint8Array(65536)
  for (let n = await from.read(buffer); n !== null; n = await from.read(buffer)) {
    for (let sent = 0; sent < n;) sent += await to.write(buffer.subarray(sent, n))
  }
  await to.closeWrite()
}

const relay = async (connection: DenoConn): Promise<void> => {
  try {
    const other = await deno().connect(upstream)
    connection.setNoDelay?.(true)
    other.setNoDelay?.(true)
    try {
      await Promise.all([copy(connection, other), copy(other, connection)])
    } finally {
      other.close()
    }
  } catch {
    // A reset ends this connection alone.
  } finally {
    connection.close()
  }
}

await listen(relay)
