/**
 * A tracer that keeps the spans it makes.
 */
import { Context, DefaultServices, Tracer } from "effect"

const native = Context.get(DefaultServices.liveServices, Tracer.Tracer)

export const recording = () => {
  const spans: Array<Tracer.Span> = []
  const tracer = Tracer.make({
    ...native,
    span: (...args) => {
      const span = native.span(...args)
      spans.push(span)
      return span
    }
  })
  return { spans, tracer }
}
