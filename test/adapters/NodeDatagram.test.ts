/**
 * What the adapter over `node:dgram` makes of that module's habits, under whichever runtime has it.
 */
import { expect, it } from "vitest"
import { bindDatagram } from "../../adapters/node/NodeDatagram.ts"
import type { DatagramHandle, DatagramRequest } from "../../src/DatagramTransport.ts"

const request: DatagramRequest = {
  endpoint: { host: "127.0.0.1", port: 0 },
  remote: undefined,
  reuseAddress: false,
  reusePort: false,
  ipv6Only: false,
  recvBufferSize: undefined,
  sendBufferSize: undefined
}

const opened = (options: Partial<DatagramRequest> = {}): Promise<DatagramHandle> =>
  new Promise((resolve, reject) => {
    bindDatagram({ ...request, ...options }, {
      onOpen(handle) {
        resolve(handle)
        return { onMessage() {}, onError() {}, onClose() {} }
      },
      onFail: reject
    })
  })

it("leaves the event loop to others while somebody sends on and on", async () => {
  const handle = await opened()
  const [more, most] = [64 * 4, 64 * 100]
  let sent = 0
  let others = false
  await new Promise<void>((resolve) => {
    const again = () => {
      if (++sent === more) setImmediate(() => others = true)
      if (others || sent === most) resolve()
      else handle.send({ bytes: Uint8Array.of(1), to: handle.localAddress, done: again })
    }
    again()
  })
  handle.close()
  expect(others).toBe(true)
})

it("takes `ipv6Only` for what it is with IPv4: no wish at all", async () => {
  const handle = await opened({ ipv6Only: true })
  expect(handle.localAddress.host).toBe("127.0.0.1")
  handle.close()
})
