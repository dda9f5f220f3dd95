/**
 * The client says that it will send no more (FIN), and still gets a long answer whole; then the end of stream.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { Net } from "effect-netkit"
import { receiveBytes, send } from "../protocol.ts"
import { type Check, failed, inMebibytes, mebibyte, passed } from "./check.ts"

export const halfClose: Check = (servers) =>
  Effect.gen(function* () {
    const connection = yield* Net.connect(servers.requests)
    const startedAt = performance.now()
    yield* send(connection, `bytes ${16 * mebibyte}`)
    yield* connection.shutdown

    const { length, intact } = yield* receiveBytes(connection)
    const millis = performance.now() - startedAt
    const end = yield* connection.read
    if (!intact) return failed("the checksums differ")
    return Option.isNone(end)
      ? passed(`${inMebibytes(length)} MiB in ${millis.toFixed(0)} ms`)
      : failed("more came than was sent")
  })
