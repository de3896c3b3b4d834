/** Counts of files, directories and bytes. One small record a mount, changed with whatever it counts, in the same transaction. */
import type {MountId} from '#base/ids.ts';
import {usageKey, usageTable} from '#codec/namespace/keys.ts';
import {decodeUsage, encodeUsage, type Usage} from '#codec/namespace/usage-record.ts';
import type {Reader, Transaction} from '#metastore/metastore.ts';

export const noUsage: Usage = {files: 0, directories: 0, bytes: 0};

/** What a mount holds. Symbolic links count as files. A removed tree counts until its records are deleted. */
export function usageOfMount(reader: Reader, mount: MountId): Usage {
  const record = reader.get(usageKey(mount));
  return record ? decodeUsage(record) : noUsage;
}

export function usageOfAll(reader: Reader): Usage {
  let sum = noUsage;
  for (const {value} of reader.range(usageTable)) sum = plus(sum, decodeUsage(value));
  return sum;
}

export function addUsage(tx: Transaction, mount: MountId, change: Usage): void {
  if (change.files === 0 && change.directories === 0 && change.bytes === 0) return;
  tx.put(usageKey(mount), encodeUsage(plus(usageOfMount(tx, mount), change)));
}

export function plus(a: Usage, b: Usage): Usage {
  return {files: a.files + b.files, directories: a.directories + b.directories, bytes: a.bytes + b.bytes};
}
