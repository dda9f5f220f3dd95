/**
 * Messages come back as they went, one by one, and a request is answered.
 */
import { randomBytes } from "node:crypto"
import * as Effect from "effect/Effect"
import { Net } from "effect-netkit"
import { request } from "../protocol.ts"
import { type Check, failed, passed } from "./check.ts"

export const exchange: Check = (servers) =>
  Effect.gen(function* () {
    const echo = yield* Net.connect(servers.echo)
    const startedAt = performance.now()
    for (let i = 0; i < 200; i++) {
      const message = randomBytes(64)
      yield* echo.write(message)
      const reply = yield* echo.readExactly(message.length)
      if (!message.equals(reply)) return failed(`message ${i} came back changed`)
    }
    const millis = (performance.now() - startedAt) / 200

    const requests = yield* Net.connect(servers.requests)
    const sum = yield* request(requests, "sum 20 18 4")
    return sum === "42" ? passed(`${millis.toFixed(2)} ms`) : failed(`20 + 18 + 4 = ${sum}`)
  })
