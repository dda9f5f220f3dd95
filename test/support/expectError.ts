/**
 * What the tables of errors expect of an error's report: tag and fields as given, and a message that reads well on a
 * terminal.
 */
import { expect } from "vitest"
import { RuntimeNetwork } from "../../adapters/runtime/index.ts"
import type { Report } from "./report.ts"

const { capabilities } = RuntimeNetwork.transport

/** Bun calls every failed connect refused (oven-sh/bun#37093); its capabilities say so. */
export const orRefused = (tag: string): string => capabilities.unreachableVisible ? tag : "ConnectionRefused"

/** Deno says of no datagram why it was not sent; its capabilities say so. */
export const orUnknown = (tag: string): string => capabilities.datagramErrors ? tag : "Unknown"

export type Expected = Partial<Report> & { readonly tag: string }

const verbs: Record<string, string> = {
  connect: "connect to",
  listen: "listen on",
  accept: "accept on",
  read: "read from",
  write: "write to",
  bind: "bind",
  send: "send to"
}

/** The report is as expected. */
export const holds = (report: Report, expected: Expected) => {
  expect(report).toMatchObject(expected)
  // Operation, address and a hint, in one line.
  if (report.address !== undefined) expect(report.message).toContain(`${verbs[report.operation!]} ${report.address}: `)
  expect(report.message).toMatch(/^[^\n]{20,150}$/)
}
