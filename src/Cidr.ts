/**
 * CIDR blocks of IP addresses (RFC 4632), read once into numbers: cheap enough to match for every accepted connection.
 * IPv4 is judged alike in both its spellings, `10.1.2.3` and `::ffff:10.1.2.3`. Exported through `SocketAddress`.
 */
import * as Either from "effect/Either"
import * as Equal from "effect/Equal"
import { dual, identity } from "effect/Function"
import * as Hash from "effect/Hash"
import * as Predicate from "effect/Predicate"
import * as Ip from "./internal/ip.ts"
import { InvalidOption } from "./NetError.ts"
import type { SocketAddress } from "./SocketAddress.ts"

/**
 * Marks every CIDR block.
 *
 * @category symbols
 */
export const CidrTypeId: unique symbol = Symbol.for("effect-netkit/Cidr")

/** @category symbols */
export type CidrTypeId = typeof CidrTypeId

/**
 * A block of IP addresses (RFC 4632), ready for matching. Made by `parseCidr`; equal by its canonical text.
 *
 * @category models
 */
export class Cidr implements Equal.Equal {
  readonly [CidrTypeId]: CidrTypeId = CidrTypeId
  readonly _tag = "Cidr"
  /** @internal */
  readonly block: Ip.Block
  constructor(block: Ip.Block) {
    this.block = block
  }
  toString(): string {
    return Ip.formatBlock(this.block)
  }
  toJSON(): string {
    return this.toString()
  }
  [Equal.symbol](that: unknown): boolean {
    return isCidr(that) && that.toString() === this.toString()
  }
  [Hash.symbol](): number {
    return Hash.cached(this, Hash.string(this.toString()))
  }
}

/** @category guards */
export const isCidr = (u: unknown): u is Cidr => Predicate.hasProperty(u, CidrTypeId)

/**
 * Reads `10.0.0.0/8` or `2001:db8::/32`; an address alone is a block of one. Bits after the prefix are cleared.
 *
 * @category parsing
 */
export const parseCidr = (text: string): Either.Either<Cidr, InvalidOption> => {
  const block = Ip.parseBlock(text)
  return block === undefined
    ? Either.left(new InvalidOption({ option: "cidr", value: text, expected: "a CIDR block such as 10.0.0.0/8" }))
    : Either.right(new Cidr(block))
}

/**
 * As `parseCidr`, and throws the `InvalidOption`.
 *
 * @category parsing
 */
export const unsafeParseCidr = (text: string): Cidr => Either.getOrThrowWith(parseCidr(text), identity)

/**
 * Whether an address, or the text of a host without a port, lies in the block, or in one of the blocks. IPv4 lies in
 * IPv4 blocks only: `::/0` is all of IPv6. Scope ids do not count. A name is not looked up: it lies in none, as a path.
 *
 * @category predicates
 */
export const matches: {
  (address: SocketAddress | string): (self: Cidr | ReadonlyArray<Cidr>) => boolean
  (self: Cidr | ReadonlyArray<Cidr>, address: SocketAddress | string): boolean
} = dual(2, (self: Cidr | ReadonlyArray<Cidr>, address: SocketAddress | string) => {
  const ip = Ip.fromAddress(address)
  if (ip === undefined) return false
  return isCidr(self) ? Ip.contains(self.block, ip) : self.some(({ block }) => Ip.contains(block, ip))
})
