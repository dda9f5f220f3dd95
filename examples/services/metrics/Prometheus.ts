/**
 * Effect's metrics in the text form that Prometheus reads (exposition format 0.0.4).
 * Counters, gauges, histograms and summaries by their own names; a frequency becomes a counter with a label for what occurred.
 */
import * as Chunk from "effect/Chunk"
import type * as MetricPair from "effect/MetricPair"
import * as MetricState from "effect/MetricState"
import * as Option from "effect/Option"

/** All metrics of a snapshot, those of one name together. */
export const render = (snapshot: ReadonlyArray<MetricPair.MetricPair.Untyped>): string => {
  const families = new Map<string, Array<MetricPair.MetricPair.Untyped>>()
  for (const pair of snapshot) {
    const family = families.get(pair.metricKey.name)
    if (family === undefined) families.set(pair.metricKey.name, [pair])
    else family.push(pair)
  }
  return [...families].sort(([a], [b]) => a < b ? -1 : 1).map(([name, pairs]) => renderFamily(name, pairs)).join("")
}

const renderFamily = (name: string, pairs: ReadonlyArray<MetricPair.MetricPair.Untyped>): string => {
  const own = name.replace(/[^a-zA-Z0-9_:]/g, "_").replace(/^(?=\d)/, "_")
  const { metricKey, metricState } = pairs[0]!
  const help = Option.match(metricKey.description, {
    onNone: () => "",
    onSome: (text) => `# HELP ${own} ${text.replace(/\\/g, "\\\\").replace(/\n/g, "\\n")}\n`
  })
  const samples = pairs.flatMap((pair) => [...renderSamples(own, labelsOf(pair), pair.metricState)])
  return `${help}# TYPE ${own} ${typeOf(metricState)}\n${samples.join("\n")}\n`
}

const typeOf = (state: MetricState.MetricState.Untyped): string => {
  if (MetricState.isCounterState(state) || MetricState.isFrequencyState(state)) return "counter"
  if (MetricState.isGaugeState(state)) return "gauge"
  return MetricState.isHistogramState(state) ? "histogram" : "summary"
}

type Labels = ReadonlyArray<readonly [name: string, value: string]>

const labelsOf = ({ metricKey }: MetricPair.MetricPair.Untyped): Labels =>
  Chunk.toReadonlyArray(Chunk.fromIterable(metricKey.tags)).map(({ key, value }) => [key, value])

function* renderSamples(name: string, labels: Labels, state: MetricState.MetricState.Untyped): Iterable<string> {
  if (MetricState.isCounterState(state)) yield sample(name, labels, state.count)
  else if (MetricState.isGaugeState(state)) yield sample(name, labels, state.value)
  else if (MetricState.isFrequencyState(state)) {
    for (const [value, times] of state.occurrences) yield sample(name, [...labels, ["value", value]], times)
  } else if (MetricState.isHistogramState(state)) {
    for (const [bound, count] of state.buckets) {
      if (bound !== Infinity) yield sample(`${name}_bucket`, [...labels, ["le", String(bound)]], count)
    }
    yield sample(`${name}_bucket`, [...labels, ["le", "+Inf"]], state.count)
    yield* total(name, labels, state)
  } else if (MetricState.isSummaryState(state)) {
    for (const [quantile, value] of state.quantiles) {
      yield sample(name, [...labels, ["quantile", String(quantile)]], Option.getOrElse(value, () => NaN))
    }
    yield* total(name, labels, state)
  }
}

function* total(name: string, labels: Labels, { count, sum }: { readonly count: number; readonly sum: number }) {
  yield sample(`${name}_sum`, labels, sum)
  yield sample(`${name}_count`, labels, count)
}

const sample = (name: string, labels: Labels, value: number | bigint): string => {
  const text = labels.map(([label, value]) => `${label.replace(/[^a-zA-Z0-9_]/g, "_")}="${escape(value)}"`).join(",")
  return `${name}${text === "" ? "" : `{${text}}`} ${number(value)}`
}

const escape = (text: string): string => text.replace(/\\/g, "\\\\").replace(/"/g, '\\"').replace(/\n/g, "\\n")

const number = (value: number | bigint): string =>
  value === Infinity ? "+Inf" : value === -Infinity ? "-Inf" : String(value)
