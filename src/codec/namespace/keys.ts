/**
 * Where the namespace lies in the metastore: one letter for the table, then the key within it. Ids are 8 bytes big-endian,
 * so that byte order is number order.
 *
 *   e parent name      entry: which inode has this name. A directory's name is followed by `/`, so that a file `a` and a
 *                      directory `a/` stand side by side and a range scan is S3's key order (`foo+1/` before `foo/`).
 *   a order            relocation: bytes on their way between a key and its place among old versions
 *   b kind name        webhooks: T the target, S how far its queue has got, E (name NUL order) an event that it has still to be told;
 *                      M (a number) a renamed tree whose files are still to be told of
 *   c kind name        whoever may call: U user, K access key, G group, P policy; S the instance's own account
 *   d mount            mark: the mount's store was changed since the last orderly end
 *   g content          garbage: a content that nothing refers to any more and that caches may still hold
 *   h bucket key NUL order   noncurrent version or delete marker of a key; the newest first, for order is stored as its complement
 *   i inode            inode record
 *   k inode            counters of a bucket's noncurrent versions
 *   m mount            mount record
 *   n mount            usage counters of a mount
 *   o mount hash       multipart upload that a mount's store has open for Weir, by a hash of the store's name for it
 *   f inode            orphan: a file without a name that somebody has open
 *   p upload NUL part  part of a multipart upload
 *   q inode            how many directories a directory holds; absent when none
 *   j inode            persist: what a file's store is still to get (persist-record.ts)
 *   r inode            rename of a file that its store has still to follow
 *   s inode name       setting of a directory: a named document
 *   t inode            tombstone: a removed tree whose records, and objects in the store, are still to be deleted
 *   u upload           multipart upload
 *   v inode            move intent: a renamed tree that the store has still to follow
 *   w path NUL time upload   order of uploads: by path, then by time of initiation
 *   x kind inode       timer: when something is to be done with an inode (L: the lifecycle of a bucket), and how far it has got
 *   y inode            quota of a directory, and how much of it is used
 *   z bucket key       order of the null version among the noncurrent ones of a key
 *   A inode            publication: what a file's store was about to get in the place of what it has
 *   D inode            directory that its store has, and may lose with the power: then it is made anew
 *   #                  next id that is not reserved
 *   l inode parent name  a second or further name of a file; the first is in its record
 *
 * Never key by full path: a rename would touch every key below. (Uploads and versions are: they belong to a key, not to an inode.)
 */
import {type ByteString, fromNumber as idKey} from '#base/byte-string.ts';
import type {ContentId, InodeId, MountId} from '#base/ids.ts';
import type {InodeKind} from '#model/inode.ts';

export interface KeyRange {
  /** Inclusive. */
  readonly from: ByteString;
  /** Exclusive. */
  readonly to: ByteString;
}

const idBytes = 8;

function idAt(key: ByteString, at: number): number {
  let id = 0;
  for (let i = at; i < at + idBytes; i++) id = id * 256 + key.charCodeAt(i);
  return id;
}

const table = (letter: string): KeyRange => ({from: letter as ByteString, to: String.fromCharCode(letter.charCodeAt(0) + 1) as ByteString});

/** A name as it stands in entry keys: directories end in `/`. */
export function entryName(name: ByteString, kind: InodeKind): ByteString {
  return (kind === 'directory' ? `${name}/` : name) as ByteString;
}

/** `name` as made by entryName. */
export function entryKey(parent: InodeId, name: ByteString): ByteString {
  return `e${idKey(parent)}${name}` as ByteString;
}

/** Of what a path leads through: an entry, an inode, or the number of a directory's directories. */
export const isOnPaths = (key: ByteString): boolean => {
  const letter = key.charCodeAt(0);
  return letter === 0x65 || letter === 0x69 || letter === 0x71;
};

export const isInodeKey = (key: ByteString): boolean => key.charCodeAt(0) === 0x69;

export const isSettingKey = (key: ByteString): boolean => key.charCodeAt(0) === 0x73;

/** Of the name of a directory; of a file's that is empty, perhaps. */
export const isDirectoryEntryKey = (key: ByteString): boolean => key.charCodeAt(0) === 0x65 && key.charCodeAt(key.length - 1) === 0x2f;

/** The entry name in an entry's key. */
export function nameOfEntryKey(key: ByteString): ByteString {
  return key.slice(1 + idBytes) as ByteString;
}

/** Entries of a directory with names ≥ `from`. */
export function entriesOf(parent: InodeId, from: ByteString): KeyRange {
  return {from: entryKey(parent, from), to: `e${idKey(parent + 1)}` as ByteString};
}

export const madeKey = (id: InodeId): ByteString => `D${idKey(id)}` as ByteString;
export const inodeKey = (id: InodeId): ByteString => `i${idKey(id)}` as ByteString;
export const garbageKey = (id: ContentId): ByteString => `g${idKey(id)}` as ByteString;
export const mountKey = (id: MountId): ByteString => `m${idKey(id)}` as ByteString;
export const writtenKey = (id: MountId): ByteString => `d${idKey(id)}` as ByteString;
export const usageKey = (id: MountId): ByteString => `n${idKey(id)}` as ByteString;
export const tombstoneKey = (id: InodeId): ByteString => `t${idKey(id)}` as ByteString;
export const moveKey = (id: InodeId): ByteString => `v${idKey(id)}` as ByteString;
export const persistKey = (id: InodeId): ByteString => `j${idKey(id)}` as ByteString;
export const settingKey = (id: InodeId, name: string): ByteString => `s${idKey(id)}${name}` as ByteString;
export const settingsOf = (id: InodeId): KeyRange => ({from: settingKey(id, ''), to: settingKey((id + 1) as InodeId, '')});
/** The name in a setting's key. */
export const nameOfSettingKey = (key: ByteString): string => key.slice(1 + idBytes);
export const subdirectoriesKey = (id: InodeId): ByteString => `q${idKey(id)}` as ByteString;
export const fileRenameKey = (id: InodeId): ByteString => `r${idKey(id)}` as ByteString;
export const publicationKey = (id: InodeId): ByteString => `A${idKey(id)}` as ByteString;
export const relocationKey = (id: number): ByteString => `a${idKey(id)}` as ByteString;
export const versionUsageKey = (id: InodeId): ByteString => `k${idKey(id)}` as ByteString;

/** Longer keys cannot be named by S3 and have no versions; so what follows fits the metastore. */
export const versionedKeyBytesMax = 1024;
const complement = (order: number): string => idKey(Number.MAX_SAFE_INTEGER - order);
/** `key` is relative to the bucket and holds no NUL. */
export const versionKey = (bucket: InodeId, key: ByteString, order: number): ByteString => `h${idKey(bucket)}${key}\0${complement(order)}` as ByteString;
/** The versions of one key that are older than `order`. */
export const versionsOf = (bucket: InodeId, key: ByteString, before = Number.MAX_SAFE_INTEGER): KeyRange => ({from: versionKey(bucket, key, before - 1), to: `h${idKey(bucket)}${key}\x01` as ByteString});
/** The versions of all keys of a bucket from `key` on. */
export const versionsFrom = (bucket: InodeId, key: ByteString): KeyRange => ({from: `h${idKey(bucket)}${key}` as ByteString, to: `h${idKey(bucket + 1)}` as ByteString});
export const nullVersionKey = (bucket: InodeId, key: ByteString): ByteString => `z${idKey(bucket)}${key}` as ByteString;

/** What a version's key says. */
export function partsOfVersionKey(row: ByteString): {readonly key: ByteString; readonly order: number} {
  const end = row.length - idBytes;
  return {key: row.slice(1 + idBytes, end - 1) as ByteString, order: Number.MAX_SAFE_INTEGER - idAt(row, end)};
}

/** Names are ASCII. */
export const identityKey = (kind: 'user' | 'key' | 'group' | 'policy' | 'realm', name: string): ByteString => `c${identityLetters[kind]}${name}` as ByteString;
export const identityTable = (kind: 'user' | 'key' | 'group' | 'policy'): KeyRange => ({from: identityKey(kind, ''), to: `c${identityLetters[kind]}\x7f` as ByteString});
/** The name in such a key. */
export const nameOfIdentityKey = (key: ByteString): string => key.slice(2);
const identityLetters = {user: 'U', key: 'K', group: 'G', policy: 'P', realm: 'S'} as const;
/** Names are ASCII and hold no NUL. */
export const webhookKey = (name: string): ByteString => `bT${name}` as ByteString;
export const webhookTable: KeyRange = {from: 'bT' as ByteString, to: 'bU' as ByteString};
export const webhookStateKey = (name: string): ByteString => `bS${name}` as ByteString;
export const outboxKey = (webhook: string, order: number): ByteString => `bE${webhook}\0${idKey(order)}` as ByteString;
/** The events of one webhook with orders ≥ `from`. */
export const outboxOf = (webhook: string, from = 0): KeyRange => ({from: outboxKey(webhook, from), to: `bE${webhook}\x01` as ByteString});
export const renamedTreeKey = (order: number): ByteString => `bM${idKey(order)}` as ByteString;
export const renamedTreeTable: KeyRange = {from: 'bM' as ByteString, to: 'bN' as ByteString};
/** The name in the key of a webhook or of its state. */
export const nameOfWebhookKey = (key: ByteString): string => key.slice(2);
/** The order in the key of an event. */
export const orderOfOutboxKey = (key: ByteString): number => idAt(key, key.length - idBytes);
export const orphanKey = (id: InodeId): ByteString => `f${idKey(id)}` as ByteString;
export const orphanTable = table('f');
export const linkKey = (id: InodeId, parent: InodeId, name: ByteString): ByteString => `l${idKey(id)}${idKey(parent)}${name}` as ByteString;
export const linksOf = (id: InodeId): KeyRange => ({from: `l${idKey(id)}` as ByteString, to: `l${idKey(id + 1)}` as ByteString});
export const linkTable = table('l');
export function partsOfLinkKey(key: ByteString): {id: InodeId; parent: InodeId; name: ByteString} {
  return {id: idAt(key, 1) as InodeId, parent: idAt(key, 1 + idBytes) as InodeId, name: key.slice(1 + 2 * idBytes) as ByteString};
}

export const idsKey = '#' as ByteString;

/** The id in a key that is a letter and an id. */
export const idOfKey = (key: ByteString): number => idAt(key, 1);

export const quotaKey = (id: InodeId): ByteString => `y${idKey(id)}` as ByteString;
export const quotaTable = table('y');
/** Inodes with ids ≥ `id`. */
export const inodesFrom = (id: number): KeyRange => ({from: inodeKey(id as InodeId), to: 'j' as ByteString});

export const madeTable = table('D');
export const garbageTable = table('g');
export const mountTable = table('m');
export const writtenTable = table('d');
export const usageTable = table('n');
export const tombstoneTable = table('t');
export const moveTable = table('v');
export const fileRenameTable = table('r');
export const publicationTable = table('A');
/** Those of inodes with ids > `after`. */
export const persistsFrom = (after: number): KeyRange => ({from: persistKey((after + 1) as InodeId), to: 'k' as ByteString});
export const settingsTable = table('s');
export const relocationTable = table('a');
export const versionUsageTable = table('k');
export const timerTable = table('x');
export const timerKey = (kind: TimerKind, subject: InodeId): ByteString => `x${timerLetters[kind]}${idKey(subject)}` as ByteString;
export type TimerKind = 'lifecycle';
const timerLetters = {lifecycle: 'L'} as const;
/** What a timer is of. */
export function subjectOfTimerKey(key: ByteString): {readonly kind: TimerKind; readonly subject: InodeId} | undefined {
  return key[1] === timerLetters.lifecycle ? {kind: 'lifecycle', subject: idAt(key, 2) as InodeId} : undefined;
}

export const storeUploadKey = (mount: MountId, hash: ByteString): ByteString => `o${idKey(mount)}${hash}` as ByteString;
export const storeUploadTable = table('o');
export const uploadTable = table('u');
export const uploadKey = (uploadId: string): ByteString => `u${uploadId}` as ByteString;
/** Exclusive of the upload's other data: its parts, ascending, with numbers > `after`. */
export const partsOf = (uploadId: string, after: number): KeyRange => ({from: partKey(uploadId, after + 1), to: `p${uploadId}\x01` as ByteString});
export const partKey = (uploadId: string, partNumber: number): ByteString => `p${uploadId}\0${idKey(partNumber)}` as ByteString;

/** Paths may be longer than keys: what is beyond this many bytes does not take part in the stored order. */
export const uploadOrderPathBytesMax = 1200;

/** `initiatedAt` in ns. */
export function uploadOrderKey(path: ByteString, initiatedAt: bigint, uploadId: string): ByteString {
  return `w${path.slice(0, uploadOrderPathBytesMax)}\0${idKey(Number(initiatedAt / 1024n))}${uploadId}` as ByteString;
}

/** The part of an order key that uploads of the same (long) path share. */
export const uploadOrderGroup = (key: ByteString): ByteString => key.slice(0, key.indexOf('\0') + 1) as ByteString;
export const uploadIdOfOrderKey = (key: ByteString): string => key.slice(key.indexOf('\0') + 1 + idBytes);
/** Uploads of paths ≥ `from` (cut as the keys are). */
export const uploadOrderFrom = (from: ByteString): KeyRange => ({from: `w${from.slice(0, uploadOrderPathBytesMax)}` as ByteString, to: 'x' as ByteString});
