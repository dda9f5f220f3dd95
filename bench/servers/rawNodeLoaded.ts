/**
 * The bare server of Node in a process that has loaded `effect` and does not use it. How V8 collects 64 KiB buffers depends on what else
 * is in the heap, so part of what bulk costs above the bare server is not this SDK's doing; this one shows how much.
 */
import "effect/Effect"
import "./rawNode.ts"
