/**
 * The network of Deno: `DenoNetwork.layer`.
 */
export * as DenoNetwork from "./DenoNetwork.ts"
