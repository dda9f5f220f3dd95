/**
 * One connection of a server, from the moment it was accepted until its descriptor is released.
 * It stands in the list of closes that take too long, and in the set of those that are served.
 */
import type * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import type { ConnectionImpl } from "./connection.ts"
import { Entry } from "./deadlines.ts"
import { LazyScope } from "./lazyScope.ts"
import type { Member } from "./liveSet.ts"

export class Session extends Entry implements Member {
  readonly connection: ConnectionImpl
  readonly scope = new LazyScope()
  slot = -1
  /** The handler, while it runs. */
  fiber: Fiber.RuntimeFiber<unknown, unknown> | undefined = undefined
  /** It waited between two messages when the server began to drain. */
  dismissed = false

  constructor(connection: ConnectionImpl) {
    super()
    this.connection = connection
  }

  /** Its close took longer than `closeTimeout`. */
  expire(): void {
    this.cutOff()
  }

  cutOff(): void {
    this.fiber?.unsafeInterruptAsFork(FiberId.none)
    this.connection.unsafeReset()
  }
}
