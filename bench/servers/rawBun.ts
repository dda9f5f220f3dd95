/**
 * An echo server on `Bun.listen` alone.
 */
import { listen } from "./bunListener.ts"

listen(() => (chunk) => chunk)
