/**
 * A Map that shares most of its entries: those of another Map, and a few of its own. Read only.
 * For what every connection would have a whole Map of: the services and the references of its handler's fiber, half a kilobyte of each.
 * Effect reads both by these methods, and copies what it is to change.
 */
export abstract class MapView<K, V> implements ReadonlyMap<K, V> {
  protected readonly shared: ReadonlyMap<K, V>

  /** `shared` has none of the keys that are this one's own. */
  constructor(shared: ReadonlyMap<K, V>) {
    this.shared = shared
  }

  protected abstract readonly own: ReadonlyArray<readonly [K, V]>
  abstract get(key: K): V | undefined
  abstract has(key: K): boolean

  get size(): number {
    return this.shared.size + this.own.length
  }

  *entries(): MapIterator<[K, V]> {
    yield* this.shared.entries()
    for (const [key, value] of this.own) yield [key, value]
  }

  [Symbol.iterator](): MapIterator<[K, V]> {
    return this.entries()
  }

  *keys(): MapIterator<K> {
    for (const [key] of this.entries()) yield key
  }

  *values(): MapIterator<V> {
    for (const [, value] of this.entries()) yield value
  }

  forEach(visit: (value: V, key: K, map: ReadonlyMap<K, V>) => void): void {
    for (const [key, value] of this.entries()) visit(value, key, this)
  }

  /** As those take it who ask for a Map and change none. */
  get map(): Map<K, V> {
    return this as unknown as Map<K, V>
  }
}
