/**
 * Bytes on their way between a key and their place among the old versions (codec/namespace/version-record.ts): noted before the store
 * is touched, so that whatever a crash leaves behind is found and settled.
 */
import type {ByteString} from '#base/byte-string.ts';
import {decodeRelocation, encodeRelocation, type Relocation} from '#codec/namespace/version-record.ts';
import {idOfKey, relocationKey, relocationTable} from '#codec/namespace/keys.ts';
import type {Operation} from '#master/namespace/operation.ts';
import type {Reader, Transaction} from '#metastore/metastore.ts';

const versionsPrefix = '.weir/versions/';

/** A place of its own for the bytes of an old version, or of a file that is still open and whose name has gone; `unique` never repeats. */
export function versionPlace(unique: string): ByteString {
  return `${versionsPrefix}${unique}` as ByteString;
}

export function isVersionPlace(storeKey: ByteString): boolean {
  return storeKey.startsWith(versionsPrefix);
}

export function noteRelocation(tx: Transaction, op: Operation, relocation: Omit<Relocation, 'id'>): Relocation {
  const id: number = op.ids.next();
  tx.put(relocationKey(id), encodeRelocation({...relocation, id}));
  return {...relocation, id};
}

export function listRelocations(reader: Reader): Relocation[] {
  return Array.from(reader.range(relocationTable), ({key, value}) => decodeRelocation(idOfKey(key), value));
}

export function forgetRelocation(tx: Transaction, id: number): void {
  tx.delete(relocationKey(id));
}
