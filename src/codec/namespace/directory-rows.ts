/** The rows that say where directories are, in the namespace and in their stores, and what is set of them. They change seldom, and every path leads through them. */
import type {ByteString} from '#base/byte-string.ts';
import {hasStorePrefix} from '#codec/namespace/inode-record.ts';
import {isDirectoryEntryKey, isInodeKey, isSettingKey} from '#codec/namespace/keys.ts';

/** `value`: what is written there; null: nothing any more. A store prefix goes, and comes, with a new entry of its directory. */
export function isDirectoryRow(key: ByteString, value: Uint8Array | null): boolean {
  return isDirectoryEntryKey(key) || isSettingKey(key) || (value !== null && isInodeKey(key) && hasStorePrefix(value));
}
