/**
 * The network of the runtime that this is loaded in: `RuntimeNetwork.layer`.
 */
export * as RuntimeNetwork from "./RuntimeNetwork.ts"
