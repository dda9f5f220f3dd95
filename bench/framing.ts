/**
 * `npx tsx bench/framing.ts [16] [1024] [1048576]`: decoding and encoding without a socket, against split2,
 * node:readline and it-length-prefixed. Also under `bun` and `deno run -A`. Sizes are those of a message; all if none
 * is given. Every contender gives each message whole: text as a string, bytes as one array.
 */
import { once } from "node:events"
import { createInterface } from "node:readline"
import { Readable } from "node:stream"
import process from "node:process"
import { Framing, type NetError } from "effect-netkit"
import * as Either from "effect/Either"
import * as lp from "it-length-prefixed"
import { bench, do_not_optimize, run, summary } from "mitata"
import split2 from "split2"

const KiB = 1024
const chunkSize = 64 * KiB

const raise = (error: NetError.FrameError): never => {
  throw error
}

/** As the kernel hands it over, in full reads; or cut anywhere, half a packet on average. */
const cuts = {
  whole: () => chunkSize,
  cut: () => 1 + Math.floor(random() * 1460)
}

/** A generator with a seed, so that every run cuts alike (mulberry32). */
let seed = 1
const random = (): number => {
  seed = (seed + 0x6d2b79f5) | 0
  let t = Math.imul(seed ^ (seed >>> 15), 1 | seed)
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
  return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
}

const chunksOf = (bytes: Uint8Array, size: () => number): ReadonlyArray<Buffer> => {
  const chunks: Array<Buffer> = []
  for (let from = 0; from < bytes.length;) {
    const to = Math.min(bytes.length, from + size())
    chunks.push(Buffer.from(Uint8Array.from(bytes.subarray(from, to)).buffer))
    from = to
  }
  return chunks
}

type Contender = (chunks: ReadonlyArray<Buffer>) => number | Promise<number>

const ours = <Out, In>(codec: Framing.Codec<Out, In>): Contender => (chunks) => {
  const decoder = codec.decoder()
  let count = 0
  for (const chunk of chunks) {
    const frames: Array<Out> = []
    decoder.push(chunk)
    const failure = decoder.decode(frames)
    if (failure !== undefined) throw failure
    count += frames.length
    do_not_optimize(frames)
  }
  return count
}

const bySplit2: Contender = async (chunks) => {
  let count = 0
  const stream = split2().on("data", (line: string) => {
    count++
    do_not_optimize(line)
  })
  for (const chunk of chunks) if (!stream.write(chunk)) await once(stream, "drain")
  stream.end()
  await once(stream, "end")
  return count
}

const byReadline: Contender = async (chunks) => {
  let count = 0
  const lines = createInterface({ input: Readable.from(chunks, { objectMode: false }), crlfDelay: Infinity })
  lines.on("line", (line) => {
    count++
    do_not_optimize(line)
  })
  await once(lines, "close")
  return count
}

const byLengthPrefixed: Contender = (chunks) => {
  let count = 0
  for (const list of lp.decode(chunks, { maxDataLength: 8 * KiB * KiB })) {
    count++
    do_not_optimize(list.subarray())
  }
  return count
}

const maxFrameLength = 8 * KiB * KiB

const decoding = (size: number, cut: keyof typeof cuts) => {
  const count = Math.max(2, Math.floor((256 * KiB) / size))
  const line = "x".repeat(size - 1)
  const lines = Framing.lines({ maxFrameLength })
  const text = lines.pipe(Framing.text())
  const contest = (
    name: string,
    frames: ReadonlyArray<string>,
    codec: Framing.Codec<string>,
    all: Readonly<Record<string, Contender>>
  ) => {
    const encoded = Either.getOrThrowWith(codec.encoder().encodeAll(frames), raise)
    const chunks = chunksOf(Buffer.concat(encoded), cuts[cut])
    summary(() => {
      for (const [contender, decode] of Object.entries(all)) {
        bench(`${name} ${size} B ${cut}: ${contender}`, async () => {
          if (await decode(chunks) !== frames.length) throw new Error(`${contender} lost count`)
        })
      }
    })
  }
  const varint = Framing.varint()
  contest("lines", Array<string>(count).fill(line), text, {
    "lines + text": ours(text),
    lines: ours(lines),
    split2: bySplit2,
    readline: byReadline
  })
  contest("prefixed", Array<string>(count).fill(line), varint.pipe(Framing.text()), {
    varint: ours(varint),
    "it-length-prefixed": byLengthPrefixed
  })
}

const encoding = (size: number) => {
  const count = Math.max(2, Math.floor((64 * KiB) / size))
  const texts = Array<string>(count).fill("x".repeat(size - 1))
  const payloads = texts.map((text) => new TextEncoder().encode(text))
  const encodeAll = <Out, In>(codec: Framing.Codec<Out, In>, frames: ReadonlyArray<In>) => () =>
    do_not_optimize(Either.getOrThrowWith(codec.encoder().encodeAll(frames), raise))
  summary(() => {
    bench(
      `encode lines ${size} B: lines + text`,
      encodeAll(Framing.lines({ maxFrameLength }).pipe(Framing.text()), texts)
    )
    bench(`encode lines ${size} B: Buffer.from each`, () => {
      for (const text of texts) do_not_optimize(Buffer.from(`${text}\n`))
    })
  })
  summary(() => {
    bench(`encode prefixed ${size} B: varint`, encodeAll(Framing.varint(), payloads))
    bench(`encode prefixed ${size} B: it-length-prefixed`, () => {
      for (const bytes of lp.encode(payloads)) do_not_optimize(bytes)
    })
  })
}

const asked = process.argv.slice(2).map(Number)

for (const size of asked.length > 0 ? asked : [16, KiB, KiB * KiB]) {
  decoding(size, "whole")
  decoding(size, "cut")
  encoding(size)
}

await run()
