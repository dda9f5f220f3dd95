/**
 * `effect-netkit/bun`: the network of Bun.
 */
export * as BunNetwork from "./BunNetwork.ts"
