/**
 * The kinds of failure that a socket can have, and how the codes of three runtimes map to them.
 * Pure data for adapters: by `error.code` or class name, never by errno numbers, by message only where nothing else is given.
 * Effect-free; `NetError.ts` turns a kind into a typed error.
 */
import type { Failure } from "./Transport.ts"

export type ErrorKind =
  | "ConnectionRefused"
  | "ConnectTimeout"
  | "HostUnreachable"
  | "NetworkUnreachable"
  | "NameNotFound"
  | "AddressInUse"
  | "AddressNotAvailable"
  | "PermissionDenied"
  | "ConnectionReset"
  | "BrokenPipe"
  | "ConnectionClosed"
  | "MessageTooLarge"
  | "ResourceExhausted"
  | "PathNotFound"
  | "Unsupported"
  | "Unknown"

/** POSIX and resolver codes. https://pubs.opengroup.org/onlinepubs/9699919799/functions/V2_chap02.html#tag_15_03 */
const byCode: Readonly<Record<string, ErrorKind>> = {
  ECONNREFUSED: "ConnectionRefused",
  ETIMEDOUT: "ConnectTimeout",
  EHOSTUNREACH: "HostUnreachable",
  EHOSTDOWN: "HostUnreachable",
  ENETUNREACH: "NetworkUnreachable",
  ENETDOWN: "NetworkUnreachable",
  ENOTFOUND: "NameNotFound",
  EAI_AGAIN: "NameNotFound",
  EAI_NONAME: "NameNotFound",
  EAI_NODATA: "NameNotFound",
  EADDRINUSE: "AddressInUse",
  ENOTSOCK: "AddressInUse",
  EADDRNOTAVAIL: "AddressNotAvailable",
  ENODEV: "AddressNotAvailable",
  EACCES: "PermissionDenied",
  EPERM: "PermissionDenied",
  ECONNRESET: "ConnectionReset",
  ECONNABORTED: "ConnectionReset",
  ENOTCONN: "ConnectionReset",
  EPIPE: "BrokenPipe",
  ERR_STREAM_DESTROYED: "ConnectionClosed",
  ERR_SOCKET_CLOSED: "ConnectionClosed",
  ERR_STREAM_WRITE_AFTER_END: "ConnectionClosed",
  EINTR: "ConnectionClosed",
  EMSGSIZE: "MessageTooLarge",
  EMFILE: "ResourceExhausted",
  ENFILE: "ResourceExhausted",
  ENOBUFS: "ResourceExhausted",
  ENOMEM: "ResourceExhausted",
  ENOENT: "PathNotFound"
}

/** Deno's error classes, for errors that carry no code, and Bun's of the resolver. https://docs.deno.com/api/deno/errors */
const byName: Readonly<Record<string, ErrorKind>> = {
  ConnectionRefused: "ConnectionRefused",
  TimedOut: "ConnectTimeout",
  NetworkUnreachable: "NetworkUnreachable",
  AddrInUse: "AddressInUse",
  AddrNotAvailable: "AddressNotAvailable",
  PermissionDenied: "PermissionDenied",
  NotCapable: "PermissionDenied",
  ConnectionReset: "ConnectionReset",
  ConnectionAborted: "ConnectionReset",
  NotConnected: "ConnectionReset",
  BrokenPipe: "BrokenPipe",
  BadResource: "ConnectionClosed",
  Interrupted: "ConnectionClosed",
  NotFound: "PathNotFound",
  URIError: "NameNotFound",
  DNSException: "NameNotFound"
}

/** Names an error of any of the runtimes. Falls back to `Unknown`; an aggregate is as its own code, else as its first part. */
export const classify = (error: unknown): Failure => {
  if (typeof error !== "object" || error === null) return { kind: "Unknown", code: undefined, message: String(error) }
  const { code, name, message, errors } = error as Partial<Record<string, unknown>>
  const text = typeof message === "string" ? message : String(error)
  if (typeof code === "string" && code in byCode) return { kind: byCode[code]!, code, message: text }
  if (typeof name === "string" && name in byName) {
    return { kind: byName[name]!, code: typeof code === "string" ? code : name, message: text }
  }
  if (Array.isArray(errors) && errors.length > 0) return classify(errors[0])
  // Deno gives a failed look-up neither a class of its own nor a code.
  if (text.includes("failed to lookup address information")) {
    return { kind: "NameNotFound", code: undefined, message: text }
  }
  return { kind: "Unknown", code: typeof code === "string" ? code : undefined, message: text }
}
