/**
 * Every message sent back, on `Bun.listen` alone, split by hand. A message that is too large ends the connection.
 */
import * as process from "node:process"
import { listen } from "./bunListener.ts"
import { answering } from "./split.ts"

listen(() => answering(process.argv[2]))
