/**
 * For who reads in bulk on V8, which frees buffers that die young in a minor collection, in half a millisecond. But that comes only when
 * enough small objects have been made; who makes few beside its buffers gets a collection of the whole heap for every 64 MiB instead, ten times as dear.
 * So with each large buffer goes some garbage: 24 KB for 64 KiB brings the minor collection first, for a microsecond a buffer.
 */

/** Below this, buffers make V8's lesser trouble. */
export const large = 32768

/** So many that a young generation of 16 MiB is full before 64 MiB of buffers are. */
const words = 3000

/** Holds what was made last, as what nobody could see would not be made at all. */
const made = { last: new Array<undefined>() }

/** To be called for each buffer of `large` bytes or more that is made for one chunk. */
export const litter = (): void => {
  made.last = new Array<undefined>(words)
}
