// A backend in plain Node, for tests that kill it: answers each line with its name before it; after `mute` it reads no more.
import * as net from "node:net"

const [name, port = "0"] = process.argv.slice(2)

const server = net.createServer({ allowHalfOpen: true }, (socket) => {
  let rest = ""
  socket.setNoDelay().setEncoding("utf8").on("error", () => {})
  socket.on("data", (text) => {
    const lines = (rest + text).split("\n")
    rest = lines.pop() ?? ""
    for (const line of lines) {
      if (line === "mute") socket.pause()
      socket.write(`${name} ${line}\n`)
    }
  })
  socket.on("end", () => socket.end())
})

server.listen(Number(port), "127.0.0.1", () => console.log(`listening ${server.address().port}`))
