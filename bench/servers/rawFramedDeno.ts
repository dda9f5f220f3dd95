/**
 * Every message sent back, on `Deno.listen` alone, split by hand: each connection reads into one buffer, and is not read from before its
 * replies are written.
 */
import * as process from "node:process"
import type { DenoConn } from "../../adapters/deno/DenoApi.ts"
import { listen } from "./denoListener.ts"
import { answering } from "./split.ts"

const serve = async (connection: DenoConn): Promise<void> => {
  const buffer = new Uint8Array(65536)
  const answer = answering(process.argv[2])
  try {
    connection.setNoDelay?.(true)
    for (let n = await connection.read(buffer); n !== null; n = await connection.read(buffer)) {
      const replies = answer(buffer.subarray(0, n))
      if (replies === undefined) continue
      for (let sent = 0; sent < replies.length;) sent += await connection.write(replies.subarray(sent))
    }
  } catch {
    // A reset, or a message that is too large, ends this connection alone.
  } finally {
    connection.close()
  }
}

await listen(serve)
