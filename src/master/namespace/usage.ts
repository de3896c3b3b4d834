/** Counts of files, directories and bytes. One small record a mount, changed with whatever it counts, in the same transaction. */
import type {ByteString} from '#base/byte-string.ts';
import type {MountId} from '#base/ids.ts';
import {usageKey, usageTable} from '#codec/namespace/keys.ts';
import {decodeUsage, encodeUsage, type Usage} from '#codec/namespace/usage-record.ts';
import {KeyCursor} from '#master/namespace/key-cursor.ts';
import {inodeAt, type Place} from '#master/namespace/place.ts';
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

/**
 * Counts what lies below a directory, mounts within included, up to `limit` entries at a time: `next` is the `after` of the
 * call that goes on, absent at the end. The directory itself is not counted.
 */
export function usageBelow(reader: Reader, directory: Place, after: ByteString | undefined, limit: number): {usage: Usage; next?: ByteString} {
  const cursor = new KeyCursor(reader, directory);
  cursor.seek((after === undefined ? '' : `${after}\0`) as ByteString);
  let usage = noUsage;
  let last: ByteString | undefined;
  for (let counted = 0; ; counted++) {
    const entry = cursor.next();
    if (!entry) return {usage};
    if (counted === limit) return {usage, next: last!};
    const {kind, content} = inodeAt(reader, entry.place);
    usage = plus(usage, {files: kind === 'directory' ? 0 : 1, directories: kind === 'directory' ? 1 : 0, bytes: content?.length ?? 0});
    last = entry.key;
  }
}
