import { describe, expect, it } from "@effect/vitest"
import * as Channel from "effect/Channel"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Metric from "effect/Metric"
import * as Ref from "effect/Ref"
import * as Stream from "effect/Stream"
import * as Framing from "../src/Framing.ts"
import { ascii, concat, utf8 } from "./support/frames.ts"

const lines = Framing.lines({ maxFrameLength: 5 }).pipe(Framing.text())

describe("decode", () => {
  it.effect("gives one chunk of frames for one of bytes", () =>
    Effect.gen(function* () {
      const chunks = yield* Stream.make(utf8("a\nb\nc"), utf8("d\n"), utf8("e")).pipe(
        Stream.rechunk(1),
        Framing.decode(lines),
        Stream.chunks,
        Stream.map(Chunk.toReadonlyArray),
        Stream.runCollect
      )
      expect(Chunk.toReadonlyArray(chunks)).toEqual([["a", "b"], ["cd"], ["e"]])
    }))

  it.effect("gives one chunk of frames for one of several arrays of bytes, without copying them together", () =>
    Effect.gen(function* () {
      const bytes = [utf8("a\nb"), utf8("c\nd\ne"), utf8("\nf\n")]
      const chunks = yield* Stream.fromChunk(Chunk.unsafeFromArray(bytes)).pipe(
        Framing.decode(Framing.lines()),
        Stream.chunks,
        Stream.map(Chunk.toReadonlyArray),
        Stream.runCollect
      )
      const [frames] = Chunk.toReadonlyArray(chunks)
      expect(frames?.map(ascii)).toEqual(["a", "bc", "d", "e", "f"])
      expect(frames?.map((frame) => bytes.some(({ buffer }) => buffer === frame.buffer))).toEqual([
        true,
        false,
        true,
        false,
        true
      ])
    }))

  it.effect("gives the frames before a failure, data-first too", () =>
    Effect.gen(function* () {
      const seen = yield* Ref.make<ReadonlyArray<string>>([])
      const result = yield* Framing.decode(Stream.make(utf8("a\nb\ntoo long\nc\n")), lines).pipe(
        Stream.runForEach((line) => Ref.update(seen, (all) => [...all, line])),
        Effect.either
      )
      expect(yield* Ref.get(seen)).toEqual(["a", "b"])
      expect(Either.isLeft(result) && result.left).toMatchObject({ _tag: "FrameTooLarge", offset: 4 })
    }))

  it.effect("fails as its source does, after the frames that were whole", () =>
    Effect.gen(function* () {
      const seen = yield* Ref.make(0)
      const source = Stream.concat(Stream.make(utf8("a\nb")), Stream.fail("broken" as const))
      const error = yield* source.pipe(
        Framing.decode(lines),
        Stream.runForEach(() => Ref.update(seen, (n) => n + 1)),
        Effect.flip
      )
      expect([yield* Ref.get(seen), error]).toEqual([1, "broken"])
    }))

  it.effect("can run again, from the beginning", () =>
    Effect.gen(function* () {
      const stream = Stream.make(utf8("a\nb")).pipe(Framing.decode(lines))
      expect(Chunk.toReadonlyArray(yield* Stream.runCollect(stream))).toEqual(["a", "b"])
      expect(Chunk.toReadonlyArray(yield* Stream.runCollect(stream))).toEqual(["a", "b"])
    }))

  it.effect("hands on many tiny frames in bounded chunks, as they are asked for", () =>
    Effect.gen(function* () {
      const stream = Stream.make(new Uint8Array(10_000).fill(10)).pipe(Framing.decode(Framing.lines()))
      const sizes = yield* stream.pipe(Stream.chunks, Stream.map(Chunk.size), Stream.runCollect)
      expect(Chunk.toReadonlyArray(sizes)).toEqual([4096, 4096, 1808])
      expect(yield* stream.pipe(Stream.take(5), Stream.runCount)).toBe(5)
    }))

  it.effect("counts what it skips", () =>
    Effect.gen(function* () {
      const before = yield* Metric.value(Framing.skippedFrames)
      const codec = Framing.lines({ maxFrameLength: 3, onTooLarge: "skip" }).pipe(Framing.text())
      const frames = yield* Stream.make(utf8("a\nlong"), utf8("long\nlong\nb")).pipe(
        Framing.decode(codec),
        Stream.runCollect
      )
      expect(Chunk.toReadonlyArray(frames)).toEqual(["a", "b"])
      expect((yield* Metric.value(Framing.skippedFrames)).count - before.count).toBe(2)
    }))
})

describe("encode", () => {
  it.effect("gives one chunk of bytes for one of frames", () =>
    Effect.gen(function* () {
      const chunks = yield* Stream.make("a", "b").pipe(
        Stream.concat(Stream.make("c")),
        Framing.encode(lines),
        Stream.runCollect
      )
      expect(Chunk.toReadonlyArray(chunks).map(ascii)).toEqual(["a\nb\n", "c\n"])
    }))

  it.effect("fails at a frame that it refuses, without the rest of its chunk", () =>
    Effect.gen(function* () {
      const seen = yield* Ref.make<ReadonlyArray<Uint8Array>>([])
      const error = yield* Stream.make("a").pipe(
        Stream.concat(Stream.make("b", "too long", "c")),
        (stream) => Framing.encode(stream, lines),
        Stream.runForEach((bytes) => Ref.update(seen, (all) => [...all, bytes])),
        Effect.flip
      )
      expect(ascii(concat(yield* Ref.get(seen)))).toBe("a\n")
      expect(error).toMatchObject({ _tag: "FrameTooLarge", operation: "encode", offset: 4, size: 8, limit: 5 })
    }))

  it.effect("and decode are inverse", () =>
    Effect.gen(function* () {
      const codec = Framing.lengthPrefixed().pipe(Framing.json)
      const values = Array.from({ length: 1000 }, (_, i) => ({ i }))
      const back = yield* Stream.fromIterable(values).pipe(
        Framing.encode(codec),
        Framing.decode(codec),
        Stream.runCollect
      )
      expect(Chunk.toReadonlyArray(back)).toEqual(values)
    }))
})

describe("duplex", () => {
  it.effect("makes a channel of bytes one of frames", () =>
    Effect.gen(function* () {
      // An echo: gives back the bytes it gets, in other pieces.
      const echo: Channel.Channel<
        Chunk.Chunk<Uint8Array>,
        Chunk.Chunk<Uint8Array>,
        Framing.FrameError,
        Framing.FrameError,
        unknown,
        unknown
      > = Channel.identity<Chunk.Chunk<Uint8Array>, Framing.FrameError, unknown>().pipe(
        Channel.mapOut(Chunk.flatMap((bytes) => Chunk.make(bytes.subarray(0, 1), bytes.subarray(1))))
      )
      const frames = yield* Stream.make("ab", "c").pipe(
        Stream.pipeThroughChannelOrFail(Framing.duplex(echo, lines)),
        Stream.runCollect
      )
      expect(Chunk.toReadonlyArray(frames)).toEqual(["ab", "c"])
    }))
})
