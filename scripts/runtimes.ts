/**
 * How the repository's scripts start a TypeScript file inside each runtime.
 * All three come with `npm ci`; under `npm run` they are on the PATH.
 */
export const runtimes = {
  node: ["node", "--import", "tsx"],
  deno: ["deno", "run", "--allow-all"],
  bun: ["bun", "--bun", "run"]
} as const

/** A runtime that programs run on. */
export type Runtime = keyof typeof runtimes
