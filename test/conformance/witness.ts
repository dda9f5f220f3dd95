/**
 * A transport that watches another one keep the rules of the seam (src/Transport.ts) while a property runs over it.
 * Rules: one answer to a request and none after its cancel, no empty chunk, FIN once, nothing after `onClose`,
 * `onClose` exactly once. A handle that is still open when the property has ended is a leak.
 */
import * as Effect from "effect/Effect"
import type { DatagramEvents, DatagramHandle, OutgoingDatagram } from "../../src/DatagramTransport.ts"
import type { ConnectEvents, ListenEvents, StreamEvents, Transport } from "../../src/Transport.ts"
import { check, type PropertyFailure } from "./assert.ts"
import { eventually } from "./support.ts"

export interface Witness {
  readonly transport: Transport
  /** Fails if a rule was broken, or if a handle is not released in a little while. */
  readonly verdict: Effect.Effect<void, PropertyFailure>
}

export const make = (transport: Transport): Witness => {
  const complaints: Array<string> = []
  let open = 0
  const complain = (rule: string) => {
    if (!complaints.includes(rule)) complaints.push(rule)
  }

  const stream = (inner: StreamEvents): StreamEvents => {
    let ended = false
    let finished = false
    let closed = false
    open++
    const alive = (event: string) => {
      if (closed) complain(`${event} after onClose`)
    }
    return {
      onData(chunk) {
        alive("onData")
        if (chunk.length === 0) complain("onData with an empty chunk")
        if (ended) complain("onData after onEnd")
        inner.onData(chunk)
      },
      onEnd() {
        alive("onEnd")
        if (ended) complain("onEnd twice")
        ended = true
        inner.onEnd()
      },
      onDrain() {
        alive("onDrain")
        inner.onDrain()
      },
      onFinish() {
        alive("onFinish")
        if (finished) complain("onFinish twice")
        finished = true
        inner.onFinish()
      },
      onClose(error) {
        if (closed) complain("onClose twice")
        else open--
        closed = true
        inner.onClose(error)
      }
    }
  }

  const answerOnce = () => {
    let settled: string | undefined
    return (answer: string) => {
      if (settled !== undefined) complain(`${answer} after ${settled}`)
      settled = answer
    }
  }

  /** Each datagram is answered for once, a socket closed once. */
  const datagramHandle = (inner: DatagramHandle): DatagramHandle => {
    const counted = (datagram: OutgoingDatagram): OutgoingDatagram => {
      let settled = false
      open++
      return {
        ...datagram,
        done(error) {
          if (settled) return complain("a datagram done twice")
          settled = true
          open--
          datagram.done(error)
        }
      }
    }
    return {
      localAddress: inner.localAddress,
      send: (datagram) => inner.send(counted(datagram)),
      sendMany: (datagrams) => inner.sendMany(datagrams.map(counted)),
      configure: (settings) => inner.configure(settings),
      join: (membership) => inner.join(membership),
      leave: (membership) => inner.leave(membership),
      close: () => inner.close()
    }
  }

  const datagramEvents = (inner: DatagramEvents): DatagramEvents => {
    let closed = false
    open++
    const alive = (event: string) => {
      if (closed) complain(`${event} of a datagram socket after onClose`)
    }
    return {
      onMessage(bytes, host, port, truncated) {
        alive("onMessage")
        inner.onMessage(bytes, host, port, truncated)
      },
      onError(error) {
        alive("onError")
        inner.onError(error)
      },
      onClose() {
        alive("onClose")
        if (!closed) open--
        closed = true
        inner.onClose()
      }
    }
  }

  const watchedBind = (transport: Transport): NonNullable<Transport["bindDatagram"]> => (request, events) => {
    const answer = answerOnce()
    const cancel = transport.bindDatagram!(request, {
      onOpen(handle) {
        answer("onOpen of a datagram socket")
        return datagramEvents(events.onOpen(datagramHandle(handle)))
      },
      onFail(error) {
        answer("onFail of bindDatagram")
        events.onFail(error)
      }
    })
    return () => {
      answer("cancel")
      cancel()
    }
  }

  return {
    transport: {
      ...transport,
      connect(request, events) {
        const answer = answerOnce()
        const watched: ConnectEvents = {
          onOpen(handle) {
            answer("onOpen")
            return stream(events.onOpen(handle))
          },
          onFail(error) {
            answer("onFail of connect")
            events.onFail(error)
          }
        }
        const cancel = transport.connect(request, watched)
        return () => {
          answer("cancel")
          cancel()
        }
      },
      listen(request, events) {
        const answer = answerOnce()
        let closed = false
        const watched: ListenEvents = {
          onListening(handle) {
            answer("onListening")
            open++
            events.onListening(handle)
          },
          onFail(error) {
            answer("onFail of listen")
            events.onFail(error)
          },
          onAccept(handle) {
            const wanted = events.onAccept(handle)
            return wanted === undefined ? undefined : stream(wanted)
          },
          onAcceptError: (error) => events.onAcceptError(error),
          onClose() {
            if (closed) complain("onClose of a listener twice")
            else open--
            closed = true
            events.onClose()
          }
        }
        return transport.listen(request, watched)
      },
      ...(transport.bindDatagram === undefined ? {} : { bindDatagram: watchedBind(transport) })
    },
    verdict: Effect.zipRight(
      eventually(
        () => open === 0,
        () => `${open} sockets or listeners were never released, or datagrams never answered for`
      ),
      Effect.suspend(() => check(complaints.length === 0, `the transport broke the seam: ${complaints.join("; ")}`))
    )
  }
}
