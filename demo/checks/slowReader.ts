/**
 * A client asks for much and then reads nothing: the server's writes must wait, and its memory stay as it is. Then the client reads on.
 * A second connection asks meanwhile how the server is, which so is seen to serve others.
 */
import * as Effect from "effect/Effect"
import { type Connection, Net } from "effect-netkit"
import { receiveBytes, request, send, type Status } from "../protocol.ts"
import { type Check, failed, inMebibytes, mebibyte, passed } from "./check.ts"

const size = 128 * mebibyte
/** What the kernels of both ends may hold between them, and how much the runtime's own housekeeping may move the figure. */
const acceptable = { accepted: 16 * mebibyte, growth: 32 * mebibyte }

export const slowReader: Check = (servers) =>
  Effect.gen(function* () {
    const reader = yield* Net.connect(servers.requests)
    const observer = yield* Net.connect(servers.requests)
    const before = yield* status(observer)
    yield* send(reader, `bytes ${size}`)
    const stalled = yield* standstill(observer)
    const { intact } = yield* receiveBytes(reader)

    const figures = [
      `${inMebibytes(stalled.accepted)} MiB`,
      `${inMebibytes(before.memory)} → ${inMebibytes(stalled.memory)} MiB`,
      intact ? "whole" : "changed"
    ]
    const waited = stalled.accepted < acceptable.accepted && stalled.memory - before.memory < acceptable.growth
    return waited && intact ? passed(...figures) : failed(...figures)
  })

const status = (connection: Connection.Connection) =>
  Effect.map(request(connection, "status"), (text) => JSON.parse(text) as Status)

/** Asks until no more was accepted for a while; `memory` is the most that was seen. */
const standstill = (observer: Connection.Connection) =>
  Effect.gen(function* () {
    let last = yield* status(observer)
    for (let same = 0; same < 5;) {
      yield* Effect.sleep("50 millis")
      const next = yield* status(observer)
      same = next.accepted > 0 && next.accepted === last.accepted ? same + 1 : 0
      last = { accepted: next.accepted, memory: Math.max(last.memory, next.memory) }
    }
    return last
  })
