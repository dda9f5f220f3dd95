/**
 * JavaScript for npm, ESM only, twice. For bundlers (the condition `module`) one output file a module, so that a bundle takes only what it uses.
 * For runtimes a file or two an entry point: a hundred small modules take a process three times as long to load.
 * Declarations come from `tsc -p tsconfig.build.json`, which needs a tenth of the time.
 */
import { defineConfig, type Options } from "tsup"

const common: Options = {
  format: ["esm"],
  target: "es2022",
  platform: "neutral",
  // `node:` stays in the import specifiers: Deno resolves nothing else.
  removeNodeProtocol: false,
  external: [/^node:/],
  dts: false,
  silent: true,
  sourcemap: true,
  // The package ships the sources that the maps point to.
  esbuildOptions: (options) => void (options.sourcesContent = false)
}

export default defineConfig([
  {
    ...common,
    entry: ["src/**/*.ts", "adapters/**/*.ts", "test/conformance/**/*.ts"],
    esbuildPlugins: [{
      name: "one output a module",
      setup: (build) =>
        build.onResolve(
          { filter: /^\.\.?\// },
          ({ kind, path }) =>
            kind === "entry-point" ? undefined : { path: path.replace(/\.ts$/, ".js"), external: true }
        )
    }],
    splitting: false,
    clean: ["!bundle/**"],
    outDir: "dist"
  },
  {
    ...common,
    entry: {
      index: "src/index.ts",
      FramingMsgpack: "src/FramingMsgpack.ts",
      FramingText: "src/FramingText.ts",
      node: "adapters/node/index.ts",
      deno: "adapters/deno/index.ts",
      bun: "adapters/bun/index.ts",
      memory: "adapters/memory/index.ts",
      runtime: "adapters/runtime/index.ts",
      testing: "test/conformance/index.ts"
    },
    splitting: true,
    clean: true,
    outDir: "dist/bundle"
  }
])
