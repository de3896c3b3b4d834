/**
 * Pages of all versions below a directory, in the order of keys and the newest first: the namespace's own keys (the current
 * versions) merged with the rows of noncurrent ones, two walks in the same byte order. A page costs what is on it.
 */
import {type ByteString, prefixEnd} from '#base/byte-string.ts';
import {nullVersionKey, versionKey, versionsFrom} from '#codec/namespace/keys.ts';
import {decodeNextId} from '#codec/namespace/usage-record.ts';
import type {Principal} from '#contracts/context.ts';
import type {ListVersionsRequest, VersionEntry, VersionPage} from '#contracts/listings.ts';
import {denied, mayAccess} from '#master/namespace/access.ts';
import {type CursorEntry, KeyCursor} from '#master/namespace/key-cursor.ts';
import {checkPage, foldedKey, isKey} from '#master/namespace/list.ts';
import {infoOf, inodeAt, type Place} from '#master/namespace/place.ts';
import {existingDirectory, resolve} from '#master/namespace/resolve.ts';
import {decodeRow, type Noncurrent} from '#master/namespace/versions.ts';
import type {Reader} from '#metastore/metastore.ts';
import {formatPath, parsePath} from '#model/path.ts';
import {parseVersionId, versionIdOf} from '#model/version.ts';

const rowsAtOnce = 64;

/** `directory` is a bucket. NotFound, NotADirectory, InvalidArgument, PermissionDenied (it may not be read). */
export function listVersions(reader: Reader, request: ListVersionsRequest, principal?: Principal): VersionPage {
  checkPage(request);
  const path = {...parsePath(request.directory, 'directory'), kind: 'directory' as const};
  const bucket = existingDirectory(reader, resolve(reader, path, principal));
  const inode = inodeAt(reader, bucket);
  if (!mayAccess(inode, principal, 'read')) throw denied(principal, 'list', inode);
  const entries: VersionEntry[] = [];
  for (const entry of versionsBelow(reader, bucket, formatPath(path), request)) {
    if (entries.length === request.limit) {
      const last = entries.at(-1)!;
      return {entries, next: 'folded' in last ? {key: last.key} : {key: last.key, version: versionIdOf(last.info.inode)}};
    }
    entries.push(entry);
  }
  return {entries};
}

function* versionsBelow(reader: Reader, bucket: Place, path: ByteString, request: ListVersionsRequest): Generator<VersionEntry> {
  const {delimiter, after} = request;
  const prefix = request.prefix ?? ('' as ByteString);
  const keys = new CurrentKeys(reader, bucket);
  const rows = new Rows(reader, bucket);
  let from: ByteString | undefined = prefix;
  /** The same for rows, whose keys go on behind the key of which they are. */
  let rowsFrom = from;
  /** The key in the middle of which the page begins. */
  let resumed: ByteString | undefined;
  if (after !== undefined && after.key >= prefix) {
    const skipsFold = delimiter !== undefined && after.key.startsWith(prefix) && foldedKey(after.key, prefix, delimiter) === after.key;
    from = skipsFold ? prefixEnd(after.key) : (`${after.key}\0` as ByteString);
    rowsFrom = skipsFold && from !== undefined ? from : (`${after.key}\x01` as ByteString);
    if (!skipsFold && after.version !== undefined) resumed = after.key;
  }
  if (from === undefined) return;
  if (resumed === undefined) rows.seek(rowsFrom);
  else {
    keys.seek(resumed);
    const current = keys.peek();
    const wasCurrent = current?.key === resumed && versionIdOf(inodeAt(reader, current.place)) === after!.version;
    if (wasCurrent) rows.seek(resumed);
    else rows.seekAfter(resumed, after!.version!);
  }
  keys.seek(from);
  for (;;) {
    const current = keys.peek();
    const row = rows.peek();
    if (!current && !row) return;
    const isCurrent = current !== undefined && (!row || current.key <= row.key);
    const {key} = isCurrent ? current : row!;
    if (!key.startsWith(prefix)) return;
    const fold = delimiter === undefined ? undefined : foldedKey(key, prefix, delimiter);
    if (fold !== undefined) {
      yield {key: fold, folded: true};
      const beyond = prefixEnd(fold);
      if (beyond === undefined) return;
      keys.seek(beyond);
      rows.seek(beyond);
      continue;
    }
    if (isCurrent) {
      const inode = inodeAt(reader, current.place);
      if (isKey(reader, inode)) yield {key, latest: true, info: infoOf((path + key) as ByteString, inode, current.place.mount)};
      keys.advance();
      resumed = key;
    } else {
      const {inode, deleteMarker} = row!;
      const latest = deleteMarker && key !== resumed;
      yield {key, latest, info: {path: (path + key) as ByteString, inode, length: inode.content?.length ?? 0, mount: bucket.mount, ...(deleteMarker ? {deleteMarker} : {})}};
      rows.advance();
      resumed = key;
    }
  }
}

class CurrentKeys {
  readonly #cursor: KeyCursor;
  #next: CursorEntry | undefined;

  constructor(reader: Reader, bucket: Place) {
    this.#cursor = new KeyCursor(reader, bucket);
  }

  seek(key: ByteString): void {
    this.#cursor.seek(key);
    this.advance();
  }

  peek(): CursorEntry | undefined {
    return this.#next;
  }

  advance(): void {
    this.#next = this.#cursor.next();
  }
}

/** The rows of a bucket, read ahead in chunks. */
class Rows {
  readonly #reader: Reader;
  readonly #bucket: Place;
  #chunk: Noncurrent[] = [];
  #index = 0;
  #from: ByteString | undefined;

  constructor(reader: Reader, bucket: Place) {
    this.#reader = reader;
    this.#bucket = bucket;
  }

  seek(key: ByteString): void {
    this.#start(versionsFrom(this.#bucket.id, key).from);
  }

  /** Behind one version of a key; one that has gone meanwhile is where its number says. */
  seekAfter(key: ByteString, version: string): void {
    const {id} = this.#bucket;
    const record = this.#reader.get(nullVersionKey(id, key));
    const order = parseVersionId(version) ?? (record && decodeNextId(record));
    this.#start(order === undefined ? versionsFrom(id, `${key}\x01` as ByteString).from : (`${versionKey(id, key, order)}\0` as ByteString));
  }

  peek(): Noncurrent | undefined {
    if (this.#index === this.#chunk.length && this.#from !== undefined) {
      const found = Array.from(this.#reader.range({from: this.#from, to: versionsFrom(this.#bucket.id, '' as ByteString).to, limit: rowsAtOnce}));
      this.#from = found.length === rowsAtOnce ? (`${found.at(-1)!.key}\0` as ByteString) : undefined;
      this.#chunk = found.map(decodeRow);
      this.#index = 0;
    }
    return this.#chunk[this.#index];
  }

  advance(): void {
    this.#index++;
  }

  #start(from: ByteString): void {
    this.#from = from;
    this.#chunk = [];
    this.#index = 0;
  }
}
