/**
 * Keeps the C heap of Linux from being given back and taken again with every read of 64 KiB: glibc returns its top once 128 KiB are free
 * there (`M_TRIM_THRESHOLD` of mallopt(3)), so each buffer costs about ten page faults, more than all else that a message costs.
 * The threshold follows the largest block that was freed: freeing one of 32 MiB, which was never touched, lets 64 MiB stay.
 */
import process from "node:process"

/** The largest that glibc follows (`DEFAULT_MMAP_THRESHOLD_MAX`), less its own header. */
const size = 32 * 1024 * 1024 - 65536

let kept = process.platform !== "linux"

/** Done once in a process, when it first reads in bulk. Costs address space until the next collection of garbage, no memory. */
export const keepFreed = (): void => {
  if (kept) return
  kept = true
  try {
    void new ArrayBuffer(size)
  } catch {
    // A process that may not have so much goes on as it was.
  }
}
