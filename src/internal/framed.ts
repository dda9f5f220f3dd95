/**
 * A codec over a connection: frames are decoded from the queue of what has come, and encoded into one write a message or batch.
 * Answers go to their requests in the order in which these were sent.
 */
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Sink from "effect/Sink"
import type { Framed, ReceiveError, SendError } from "../Framed.ts"
import { ByteWriter } from "../framing/ByteWriter.ts"
import type { Codec } from "../framing/Codec.ts"
import type { Encoder } from "../framing/FrameEncoder.ts"
import * as NetError from "../NetError.ts"
import type { ConnectionImpl } from "./connection.ts"
import { emitting } from "./emitting.ts"
import { batch, FrameReader, located } from "./frameReader.ts"
import { suspension } from "./suspension.ts"

/**
 * Marks every framed connection.
 *
 * @category symbols
 */
export const TypeId: unique symbol = Symbol.for("effect-netkit/Framed")

/** @category symbols */
export type TypeId = typeof TypeId

/** A request that was sent; they stand in the order of the answers. */
interface Slot<Out> {
  answer: Option.Option<Out>
  /** Wakes who waits for it, while another one takes the answers. */
  resume: ((effect: Effect.Effect<void>) => void) | undefined
}

type Restore = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>

/** Replies of one batch leave when they are so many bytes. */
const batchSize = 65536

export class FramedImpl<Out, In> implements Framed<Out, In> {
  readonly [TypeId]: TypeId = TypeId
  readonly connection: ConnectionImpl
  readonly reader: FrameReader<Out>
  readonly receive: Framed<Out, In>["receive"]
  readonly #encoder: Encoder<In>
  readonly #replies = new ByteWriter()
  readonly #slots: Array<Slot<Out>> = []
  /** Somebody takes the answers, each for its request. */
  #taking = false
  #nextAnswer: Effect.Effect<boolean, ReceiveError> | undefined

  constructor(connection: ConnectionImpl, codec: Codec<Out, In>) {
    this.connection = connection
    this.reader = new FrameReader(connection, codec)
    this.receive = this.reader.frames(
      1,
      (frames) => Exit.succeed(frames.length === 0 ? Option.none() : Option.some(frames[0]!))
    )
    this.#encoder = codec.encoder()
  }

  get messages(): Framed<Out, In>["messages"] {
    return emitting(({ emit, end }) =>
      this.reader.frames(batch, (frames) => frames.length === 0 ? end : emit(Chunk.unsafeFromArray(frames)))
    )
  }

  get send(): Framed<Out, In>["send"] {
    return (message) => Effect.suspend(() => this.#send(message))
  }

  get sendAll(): Framed<Out, In>["sendAll"] {
    return (messages) => Effect.suspend(() => this.#write(() => this.#encoder.encodeAll(messages)))
  }

  get sink(): Framed<Out, In>["sink"] {
    return Sink.forEachChunk((messages: Chunk.Chunk<In>) =>
      messages.length === 1 ? this.send(Chunk.unsafeHead(messages)) : this.sendAll(messages)
    )
  }

  get request(): Framed<Out, In>["request"] {
    return (message) =>
      Effect.suspend(() => {
        const slot: Slot<Out> = { answer: Option.none(), resume: undefined }
        const send = this.unsafeSend(message, () => void this.#slots.push(slot))
        const answer = Effect.uninterruptibleMask((restore) => this.#answerOf(slot, restore))
        return send === Effect.void ? answer : Effect.zipRight(send, answer)
      })
  }

  get swap(): Framed<Out, In>["swap"] {
    return (codec) =>
      Effect.sync(() => {
        const next = new FramedImpl(this.connection, codec)
        next.reader.decoder.push(this.reader.decoder.leftover())
        return next
      })
  }

  get skipped(): Framed<Out, In>["skipped"] {
    return Effect.sync(() => this.reader.decoder.skipped)
  }

  get unwrap(): Framed<Out, In>["unwrap"] {
    return Effect.suspend(() => Effect.as(this.connection.unread(this.reader.decoder.leftover()), this.connection))
  }

  /** No answer is on its way, and no bytes are left of what was decoded. */
  get settled(): boolean {
    const { decoder } = this.reader
    return this.#slots.length === 0 && decoder.buffered === 0 && decoder.decode([], 0) === undefined
  }

  /** Adds a reply to those of this batch; gives an effect only where it was refused or has to wait. */
  unsafeReply(message: In): Effect.Effect<void, SendError> | undefined {
    const refusal = this.#encoder.append(message, this.#replies)
    if (refusal !== undefined) return Exit.fail(located(refusal, this.connection.remoteAddress))
    return this.#replies.length >= batchSize ? this.unsafeFlush() : undefined
  }

  /** Sends the replies of this batch. */
  unsafeFlush(): Effect.Effect<void, SendError> | undefined {
    return this.#replies.length === 0 ? undefined : this.connection.unsafeReply(this.#replies.take())
  }

  /** Sends the replies so far with those that are added in this turn, before anything else is written. */
  unsafeFlushSoon(): Effect.Effect<void, SendError> | undefined {
    const { outbound } = this.connection
    if (this.#replies.length === 0) return undefined
    if (!outbound.open || outbound.failure !== undefined) return this.unsafeFlush()
    return void outbound.defer(this.#replies)
  }

  /** Sends one message: at once, or while more wait to be received with what is sent in answer to those. */
  #send(message: In): Effect.Effect<void, SendError> {
    if (!this.connection.outbound.hasRoom(this.#replies.length)) return this.unsafeSend(message)
    const waiting = this.unsafeReply(message)
    if (waiting !== undefined) return waiting
    return (this.reader.isAhead ? this.unsafeFlushSoon() : this.unsafeFlush()) ?? Effect.void
  }

  /** Sends one message at once; `Effect.void` where there was room for it. */
  unsafeSend(message: In, accepted?: () => void): Effect.Effect<void, SendError> {
    return this.#write(() => this.#encoder.encode(message), accepted)
  }

  #write(
    encode: () => Either.Either<ReadonlyArray<Uint8Array>, NetError.FrameError>,
    accepted?: () => void
  ): Effect.Effect<void, SendError> {
    const replies = this.unsafeFlush()
    if (replies !== undefined) return Effect.flatMap(replies, () => this.#write(encode, accepted))
    const bytes = encode()
    return Either.isLeft(bytes)
      ? Exit.fail(located(bytes.left, this.connection.remoteAddress))
      : this.connection.unsafeWrite(bytes.right, accepted)
  }

  /** One of those who wait takes the answers for all, until it has its own. Who was interrupted left its place in the row. */
  #answerOf(slot: Slot<Out>, restore: Restore): Effect.Effect<Out, ReceiveError | NetError.UnexpectedEnd> {
    if (Option.isSome(slot.answer)) return Exit.succeed(slot.answer.value)
    if (this.#taking) return this.#awaitTurn(slot, restore)
    this.#taking = true
    return Effect.flatMap(Effect.exit(restore(this.#takeUntil(slot))), (exit) => {
      this.#handOver()
      return exit
    })
  }

  /** Until it is answered, or is to take the answers: which of them, it sees itself. */
  #awaitTurn(slot: Slot<Out>, restore: Restore): Effect.Effect<Out, ReceiveError | NetError.UnexpectedEnd> {
    const woken = suspension<void, never, never>((resume) => {
      if (this.#taking && Option.isNone(slot.answer)) slot.resume = resume
      else resume(Effect.void)
    })
    return Effect.flatMap(Effect.exit(restore(woken)), (exit) => {
      slot.resume = undefined
      if (Exit.isSuccess(exit)) return this.#answerOf(slot, restore)
      if (!this.#taking) this.#handOver()
      return Exit.failCause(exit.cause)
    })
  }

  /** Nobody takes answers any more: the first who waits for one does. */
  #handOver(): void {
    this.#taking = false
    this.#slots.find(({ resume }) => resume !== undefined)?.resume?.(Effect.void)
  }

  #takeUntil(slot: Slot<Out>): Effect.Effect<Out, ReceiveError | NetError.UnexpectedEnd> {
    return Effect.flatMap(this.#next, (ended) => {
      if (Option.isSome(slot.answer)) return Exit.succeed(slot.answer.value)
      return ended ? this.#unanswered : this.#takeUntil(slot)
    })
  }

  /** Gives the next answer to its request, in one step with taking it. True at the end of stream. */
  get #next(): Effect.Effect<boolean, ReceiveError> {
    return this.#nextAnswer ??= this.reader.frames(1, (frames) => {
      const slot = frames.length === 0 ? undefined : this.#slots.shift()
      if (slot !== undefined) {
        slot.answer = Option.some(frames[0]!)
        slot.resume?.(Effect.void)
      }
      return Exit.succeed(frames.length === 0)
    })
  }

  readonly #unanswered: Effect.Effect<never, NetError.UnexpectedEnd> = Effect.suspend(() =>
    Effect.fail(
      new NetError.UnexpectedEnd({ operation: "read", address: this.connection.remoteAddress, received: 0 })
    )
  )
}
