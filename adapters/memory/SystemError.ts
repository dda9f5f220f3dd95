/**
 * Errors as a runtime's sockets give them: plain `Error` objects with a POSIX `code`, worded as Node words them.
 * `classify` of `src/ErrorKind.ts` names them.
 */
import type { Endpoint } from "../../src/Transport.ts"

const nameOf = (endpoint: Endpoint): string => "path" in endpoint ? endpoint.path : `${endpoint.host}:${endpoint.port}`

export const systemError = (syscall: string, code: string, subject?: Endpoint | string): Error => {
  const name = typeof subject === "object" ? nameOf(subject) : subject
  const message = name === undefined ? `${syscall} ${code}` : `${syscall} ${code} ${name}`
  return Object.assign(new Error(message), { code, syscall })
}
