/**
 * JavaScript for npm: ESM only, one output file a module, so that a bundle takes only what it uses and a stack trace
 * names the module. Declarations come from `tsc -p tsconfig.build.json`, which needs a tenth of the time.
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
  esbuildPlugins: [{
    name: "one output a module",
    setup: (build) =>
      build.onResolve(
        { filter: /^\.\.?\// },
        ({ kind, path }) => kind === "entry-point" ? undefined : { path: path.replace(/\.ts$/, ".js"), external: true }
      )
  }],
  dts: false,
  silent: true,
  sourcemap: true,
  // The package ships the sources that the maps point to.
  esbuildOptions: (options) => void (options.sourcesContent = false),
  splitting: false,
  clean: true,
  outDir: "dist"
})
