/**
 * A network in memory: `MemoryNetwork.layer`, `MemoryNetwork.make`.
 */
export * as MemoryNetwork from "./MemoryNetwork.ts"
