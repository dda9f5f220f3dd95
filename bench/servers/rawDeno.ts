/**
 * An echo server on `Deno.listen` alone, correct and no more: partial writes are carried on, half-close is passed on. Each connection
 * reads into one buffer; told `owned`, into a fresh one each time, as whoever may keep what was read has to.
 */
import * as process from "node:process"
import type { DenoConn } from "../../adapters/deno/DenoApi.ts"
import { listen } from "./denoListener.ts"

const size = 65536
const owned = process.argv.includes("owned")

const echo = async (connection: DenoConn): Promise<void> => {
  let buffer = new Uint8Array(size)
  try {
    connection.setNoDelay?.(true)
    for (let n = await connection.read(buffer); n !== null; n = await connection.read(buffer)) {
      for (let sent = 0; sent < n;) sent += await connection.write(buffer.subarray(sent, n))
      if (owned) buffer = new Uint8Array(size)
    }
  } catch {
    // A reset ends this connection alone.
  } finally {
    connection.close()
  }
}

await listen(echo)
