/**
 * What every server of the benchmark prints once it listens, and how it ends: with its standard input.
 */
import process from "node:process"

export interface Announcement {
  readonly port: number
  readonly pid: number
}

export const announce = (port: number): void => {
  const line: Announcement = { port, pid: process.pid }
  console.log(JSON.stringify(line))
  process.stdin.once("end", () => process.exit()).resume()
}
