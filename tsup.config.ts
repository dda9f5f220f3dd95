/**
 * JavaScript for npm: ESM only, one output file a module, so that an importer's bundle takes only what it uses.
 * Declarations come from `tsc -p tsconfig.build.json`, which needs a tenth of the time.
 */
import { defineConfig } from "tsup"

export default defineConfig({
  entry: ["src/**/*.ts", "adapters/**/*.ts", "test/conformance/**/*.ts"],
  format: ["esm"],
  target: "es2022",
  platform: "neutral",
  // `node:` stays in the import specifiers: Deno resolves nothing else.
  removeNodeProtocol: false,
  external: [/^node:/],
  dts: false,
  sourcemap: true,
  splitting: true,
  clean: true,
  outDir: "dist"
})
