/**
 * The order in which a memory network calls back: first in, first out, and never inside a verb.
 * Tasks run in microtasks, so they need no clock and the same script always gives the same order.
 * After every 512 tasks the event loop gets a turn: peers that answer each other for ever starve no timer.
 */

interface Task {
  readonly run: () => void
  next: Task | undefined
}

const burst = 512

// Taken while the module loads: the fake timers of a test framework must not stop the network.
// Browsers have no setImmediate.
const laterTurn: (callback: () => void) => void = "setImmediate" in globalThis
  ? globalThis.setImmediate
  : (callback) => setTimeout(callback, 0)

export class TaskQueue {
  #first: Task | undefined
  #last: Task | undefined
  #ran = 0
  #scheduled = false

  post(run: () => void): void {
    const task: Task = { run, next: undefined }
    if (this.#last === undefined) this.#first = task
    else this.#last.next = task
    this.#last = task
    this.#schedule()
  }

  #schedule(): void {
    if (this.#scheduled) return
    this.#scheduled = true
    if (this.#ran < burst) return queueMicrotask(this.#drain)
    this.#ran = 0
    laterTurn(this.#drain)
  }

  // The count runs on over microtasks: a ping-pong is a new one for every message.
  readonly #drain = (): void => {
    try {
      while (this.#first !== undefined && this.#ran++ < burst) this.#shift(this.#first).run()
    } finally {
      // A callback that threw has reached the runtime's handler of uncaught errors; the others still get their turn.
      this.#scheduled = false
      if (this.#first !== undefined) this.#schedule()
    }
  }

  #shift(task: Task): Task {
    this.#first = task.next
    if (this.#first === undefined) this.#last = undefined
    return task
  }
}
