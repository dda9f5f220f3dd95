/**
 * Payloads that may be wrong without ending the session: what cannot be decoded comes as a `Left`, and the next frame is read.
 */
import * as Either from "effect/Either"
import type { FrameMalformed } from "../NetError.ts"
import type { Codec } from "./Codec.ts"
import { mapSpec } from "./Codec.ts"
import { malformed } from "./FrameDecoder.ts"

/**
 * Gives a payload that one of the transforms before it refused as a `Left`, for a server that answers what it does not understand and goes
 * on. What is wrong with the framing itself (its maximum, its header) still ends the frames: nobody knows where the next one begins.
 *
 * @example
 * ```ts
 * import { Either, Schema } from "effect"
 * import { FramedServer, Framing } from "effect-netkit"
 *
 * const Order = Schema.Struct({ item: Schema.String, count: Schema.Int })
 * const Reply = Schema.Struct({ ordered: Schema.optional(Schema.String), error: Schema.optional(Schema.String) })
 *
 * const shop = FramedServer.make({
 *   listen: "127.0.0.1:7788",
 *   codec: Framing.lines().pipe(Framing.json, Framing.schema(Order, Reply), Framing.either),
 *   handler: () => (order) =>
 *     Either.isLeft(order)
 *       ? { error: order.left.reason }
 *       : { ordered: `${order.right.count} ${order.right.item}` }
 * })
 * ```
 *
 * @category transforms
 */
export const either = <Out, In>(self: Codec<Out, In>): Codec<Either.Either<Out, FrameMalformed>, In> =>
  mapSpec<Out, In, Either.Either<Out, FrameMalformed>, In>(
    self,
    (inner) => (bytes, from, to, ahead, offset) => {
      try {
        return Either.right(inner(bytes, from, to, ahead, offset))
      } catch (thrown) {
        return Either.left(malformed("decode", offset, thrown))
      }
    },
    (inner) => inner
  )
