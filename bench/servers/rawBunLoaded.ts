/**
 * The bare server of Bun in a process that has loaded `effect` and does not use it, as `rawNodeLoaded` is for Node: how much of what bulk
 * costs above the bare server is the heap that its buffers are collected with.
 */
import "effect/Effect"
import "./rawBun.ts"
