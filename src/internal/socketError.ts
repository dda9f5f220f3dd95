/**
 * What all errors of sockets are made of: the operation, the address, the cause, and how these read as a sentence.
 * The errors themselves are in `NetError.ts`.
 */
import type * as Cause from "effect/Cause"
import * as Data from "effect/Data"
import type { ConnectError } from "../NetError.ts"
import type { SocketAddress } from "../SocketAddress.ts"

/**
 * Marks every error of this SDK.
 *
 * @category symbols
 */
export const TypeId: unique symbol = Symbol.for("effect-netkit/NetError")

/** @category symbols */
export type TypeId = typeof TypeId

/**
 * What was being done when it failed.
 *
 * @category models
 */
export type Operation =
  | "lookup"
  | "connect"
  | "listen"
  | "bind"
  | "accept"
  | "acquire"
  | "read"
  | "write"
  | "shutdown"
  | "reset"
  | "decode"
  | "encode"
  | "send"
  | "receive"
  | "join"
  | "configure"

/** What every error of a socket says. `address` is the peer's, or the one listened on. */
export interface SocketErrorProps {
  readonly operation: Operation
  readonly address?: SocketAddress | undefined
  readonly cause?: unknown
  /** Where a name was dialled: how the connects to its addresses failed, in the order they were begun; each names its own. */
  readonly attempts?: ReadonlyArray<ConnectError> | undefined
}

const verbs: Readonly<Record<Operation, string>> = {
  lookup: "look up",
  connect: "connect to",
  listen: "listen on",
  bind: "bind",
  accept: "accept on",
  acquire: "acquire a connection to",
  read: "read from",
  write: "write to",
  shutdown: "shut down",
  reset: "reset",
  decode: "decode from",
  encode: "encode for",
  send: "send to",
  receive: "receive from",
  join: "join",
  configure: "configure"
}

export const describe = (self: SocketErrorProps, what: string): string =>
  self.address === undefined
    ? `${self.operation}: ${what}`
    : `${verbs[self.operation]} ${subject(self.operation, self.address)}: ${what}${tried(self.attempts)}`

/** A look-up is of a host alone. */
const subject = (operation: Operation, address: SocketAddress): string =>
  operation === "lookup" && address._tag === "InetAddress" ? address.host : String(address)

/** More would fill the terminal. */
const named = 4

/** The addresses of a name, and what became of each where that differs. */
const tried = (attempts: ReadonlyArray<ConnectError> = []): string => {
  if (attempts.length === 0) return ""
  const alike = attempts.every(({ _tag }) => _tag === attempts[0]!._tag)
  const each = attempts.slice(0, named).map((error) => {
    const address = "address" in error ? String(error.address) : ""
    return alike ? address : `${address} ${error._tag}`
  })
  const more = attempts.length - each.length
  return ` (${each.join(", ")}${more > 0 ? `, and ${more} more` : ""})`
}

type Said = string | ((self: SocketErrorProps) => string)

/** An error that says no more than its operation, its address and its cause; `ofPath` is what it says of a Unix domain socket. */
export const leaf = <Tag extends string>(
  tag: Tag,
  what: Said,
  ofPath: Said = what
): new (props: SocketErrorProps) => Leaf<Tag> =>
  class extends Data.TaggedError(tag)<SocketErrorProps> {
    readonly [TypeId]: TypeId = TypeId
    override get message(): string {
      const said = this.address?._tag === "UnixAddress" ? ofPath : what
      return describe(this, typeof said === "string" ? said : said(this))
    }
  }

export interface Leaf<Tag extends string> extends Cause.YieldableError, SocketErrorProps {
  readonly _tag: Tag
  readonly [TypeId]: TypeId
  readonly cause?: unknown
}
