/**
 * The network of Node: `NodeNetwork.layer`.
 */
export * as NodeNetwork from "./NodeNetwork.ts"
