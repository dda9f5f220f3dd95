/**
 * Bun 1.4 reports every failed connect as refused, also where the queue of a live Unix socket is full or it takes datagrams only.
 * Whether a file belongs to an open socket is looked up in Linux' list of them (proc_net(5)); elsewhere nothing tells.
 */
import { readFileSync } from "node:fs"
import { basename, isAbsolute } from "node:path"
import { identify } from "../socketFile.ts"

/** Num RefCount Protocol Flags Type St Inode Path */
const entry = /^(?:\S+\s+){6}\d+ (.+)$/gm

export const isBound = (file: string): boolean => {
  const id = identify(file)?.id
  // A relative path is relative to a folder that is not known: the name has to do.
  return boundPaths().some((path) =>
    basename(path) === basename(file) && (!isAbsolute(path) || identify(path)?.id === id)
  )
}

const boundPaths = (): ReadonlyArray<string> => {
  try {
    return [...readFileSync("/proc/net/unix", "utf8").matchAll(entry)].map(([, path]) => path!)
  } catch {
    return []
  }
}
