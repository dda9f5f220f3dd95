/**
 * What was asked for and cannot be had: an option that is wrong, one that the runtime has not, and what nobody has a name for.
 */
import * as Data from "effect/Data"
import { capabilityNames } from "../internal/capabilityNames.ts"
import { describe, type Operation, type SocketErrorProps, TypeId } from "../internal/socketError.ts"
import type { Capability } from "../Transport.ts"

/**
 * This runtime cannot do what was asked. Nothing was opened or changed. The support table in the README lists all cases.
 *
 * @category errors
 */
export class Unsupported extends Data.TaggedError("Unsupported")<{
  readonly operation: Operation
  readonly capability: Capability
  readonly runtime: string
}> {
  readonly [TypeId]: TypeId = TypeId
  override get message(): string {
    const name = capabilityNames[this.capability].replaceAll("`", "")
    return `${this.operation}: not supported on ${this.runtime}: ${name} (see the support table)`
  }
}

/** What has no text of its own, as what `querystring.parse` gives, is told by its kind; an empty text is seen. */
const shown = (value: unknown): string => {
  if (value === "") return '""'
  try {
    return String(value)
  } catch {
    return Object.prototype.toString.call(value)
  }
}

/**
 * An option that cannot be meant, found before any socket is opened.
 *
 * @category errors
 */
export class InvalidOption extends Data.TaggedError("InvalidOption")<{
  readonly option: string
  readonly value: unknown
  readonly expected: string
  /** What it is instead, where its text does not show that. */
  readonly found?: string | undefined
}> {
  readonly [TypeId]: TypeId = TypeId
  override get message(): string {
    const found = this.found === undefined ? "" : `, but ${this.found}`
    return `${this.option} ${shown(this.value)}: not ${this.expected}${found}`
  }
}

/**
 * A failure that the SDK has no name for; `code` and `cause` are the runtime's.
 *
 * @category errors
 */
export class Unknown extends Data.TaggedError("Unknown")<
  SocketErrorProps & { readonly code?: string | undefined; readonly reason: string }
> {
  readonly [TypeId]: TypeId = TypeId
  override get message(): string {
    return describe(this, this.code === undefined ? this.reason : `${this.reason} (${this.code})`)
  }
}
