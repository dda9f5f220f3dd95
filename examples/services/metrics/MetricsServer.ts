/**
 * A port that tells the metrics of this process: over HTTP to who asks in HTTP, as plain text to everybody else.
 * `curl http://127.0.0.1:9090/metrics`, a Prometheus, and `nc 127.0.0.1 9090 </dev/null` all work; one look at the first bytes tells them apart.
 */
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import * as Option from "effect/Option"
import { type Connection, Framed, type NetError } from "effect-netkit"
import { render } from "./Prometheus.ts"

const isHttp = (start: Uint8Array): boolean | "more" => {
  const text = String.fromCharCode(...start)
  return /^[A-Z]{3,7} \//.test(text) || (/^[A-Z]{0,7}( ?)$/.test(text) && "more")
}

/** Answers one request, then closes. */
export const handler = (connection: Connection.Connection): Effect.Effect<void, Failure> =>
  Effect.flatMap(
    Framed.detect(connection, [{ protocol: "http", test: isHttp }]),
    (protocol) => Option.isSome(protocol) ? answer(connection) : Effect.flatMap(text, connection.write)
  )

type Failure = NetError.ReadError | NetError.WriteError | NetError.UnexpectedEnd

const text = Effect.map(Metric.snapshot, render)

/** All of HTTP/1.1 that a scraper needs: a request line, headers nobody looks at, a response whose end is that of the connection. */
const answer = (connection: Connection.Connection): Effect.Effect<void, Failure> =>
  connection.readUntil("\r\n\r\n", { maxLength: 8192 }).pipe(
    Effect.flatMap((head) => respond(new TextDecoder().decode(head))),
    Effect.catchTag("MessageTooLarge", () => Effect.succeed(response("431 Request Header Fields Too Large", "", true))),
    Effect.flatMap(connection.write)
  )

const respond = (head: string): Effect.Effect<string> => {
  const [method, target] = head.split(" ", 2)
  if (method !== "GET" && method !== "HEAD") return Effect.succeed(response("405 Method Not Allowed", "", true))
  if (target!.split("?", 1)[0] !== "/metrics") return Effect.succeed(response("404 Not Found", "try /metrics\n", true))
  return Effect.map(text, (body) => response("200 OK", body, method === "GET"))
}

const response = (status: string, body: string, withBody: boolean): string =>
  [
    `HTTP/1.1 ${status}`,
    "Content-Type: text/plain; version=0.0.4; charset=utf-8",
    `Content-Length: ${new TextEncoder().encode(body).length}`,
    ...(status.startsWith("405") ? ["Allow: GET, HEAD"] : []),
    "Connection: close",
    "",
    withBody ? body : ""
  ].join("\r\n")
