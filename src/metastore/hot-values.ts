/**
 * An engine that keeps in memory what is looked up at every step of others: entries of directories, which each path leads through; and the keys
 * of which it was just found that there is nothing, since who makes something asks several times whether it is there. Nothing that a batch
 * changes may be looked up while it is applied; the metastore reads that from its overlay until then.
 */
import type {ByteString} from '#base/byte-string.ts';
import type {StateEngine} from '#metastore/engine.ts';

/** Then all are forgotten: some 2 MB. */
const valuesMax = 10_000;
/** The same of keys. */
const absentMax = 1_000;

export function keepHotValues(engine: StateEngine, isHot: (key: ByteString) => boolean): StateEngine {
  const values = new Map<ByteString, Uint8Array>();
  const absent = new Set<ByteString>();
  const find = (key: ByteString): Uint8Array | undefined => {
    if (absent.has(key)) return undefined;
    const value = engine.look(key);
    if (value) return value;
    if (absent.size >= absentMax) absent.clear();
    absent.add(key);
    return undefined;
  };
  const lookUp = (key: ByteString): Uint8Array | undefined => {
    const value = find(key);
    if (!value) return undefined;
    if (values.size >= valuesMax) values.clear();
    // The engine may use the memory again.
    const kept = Buffer.allocUnsafeSlow(value.length);
    kept.set(value);
    values.set(key, kept);
    return kept;
  };
  return {
    get sequence() {
      return engine.sequence;
    },
    get: key => engine.get(key),
    look: key => (isHot(key) ? (values.get(key) ?? lookUp(key)) : find(key)),
    range: options => engine.range(options),
    apply: async (mutations, sequence) => {
      await engine.apply(mutations, sequence);
      for (const {key} of mutations) {
        values.delete(key);
        absent.delete(key);
      }
    },
    snapshot: () => engine.snapshot(),
    close: () => engine.close(),
  };
}
