/**
 * Listings: pages of what lies below a directory, resumable by key alone. Three views (contracts/master-api.ts): `keys` as
 * S3 shows it, `children` and `tree` as a file system does.
 *
 * What makes folding cheap: every directory holds at least one key (implied ones vanish with their last child, empty
 * explicit ones are keys themselves), so that a directory met is a prefix to show, without looking into it.
 */
import {type ByteString, prefixEnd} from '#base/byte-string.ts';
import {WeirError} from '#base/errors.ts';
import {entryKey, entryName} from '#codec/namespace/keys.ts';
import type {Principal} from '#contracts/context.ts';
import type {ListEntry, ListPage, ListRequest} from '#contracts/master-api.ts';
import {denied, mayAccess} from '#master/namespace/access.ts';
import {KeyCursor} from '#master/namespace/key-cursor.ts';
import {inodeAt, lookAt, isEmpty, type Place} from '#master/namespace/place.ts';
import {existingDirectory, resolve} from '#master/namespace/resolve.ts';
import type {Reader} from '#metastore/metastore.ts';
import type {Inode} from '#model/inode.ts';
import {formatPath, parsePath} from '#model/path.ts';

export const listEntriesMax = 10_000;

/** NotFound, NotADirectory, InvalidArgument, PermissionDenied (the directory may not be read). */
export function list(reader: Reader, request: ListRequest, principal?: Principal): ListPage {
  checkPage(request);
  const path = {...parsePath(request.directory, 'directory'), kind: 'directory' as const};
  const directory = existingDirectory(reader, resolve(reader, path, principal));
  const inode = inodeAt(reader, directory);
  if (!mayAccess(inode, principal, 'read')) throw denied(principal, 'list', inode);
  return listPlace(reader, directory, formatPath(path), request);
}

export function checkPage({limit, delimiter}: Pick<ListRequest, 'limit' | 'delimiter'>): void {
  if (!Number.isInteger(limit) || limit < 1 || limit > listEntriesMax) throw new WeirError('InvalidArgument', `a page has 1 to ${listEntriesMax} entries, not ${limit}`);
  if (delimiter === '') throw new WeirError('InvalidArgument', 'a delimiter cannot be empty');
}

/** The same for a directory at hand; `path` is its canonical path. */
export function listPlace(reader: Reader, directory: Place, path: ByteString, request: Omit<ListRequest, 'directory'>): ListPage {
  const entries: ListEntry[] = [];
  for (const entry of listEntries(reader, directory, path, request)) {
    if (entries.length === request.limit) return {entries, next: entries.at(-1)!.key};
    entries.push(entry);
  }
  return {entries};
}

function* listEntries(reader: Reader, directory: Place, path: ByteString, request: Omit<ListRequest, 'directory' | 'limit'>): Generator<ListEntry> {
  const prefix = request.prefix ?? ('' as ByteString);
  const delimiter = request.view === 'keys' ? request.delimiter : undefined;
  const from = firstKey(prefix, request.after, delimiter);
  if (from === undefined) return;
  const cursor = new KeyCursor(reader, directory);
  const flat = request.view === 'children';
  if (flat) cursor.seekChild(from);
  else cursor.seek(from);
  for (let entry = cursor.next(); entry; entry = cursor.next()) {
    const {key, place} = entry;
    if (!key.startsWith(prefix)) return;
    const fold = delimiter === undefined ? undefined : foldedKey(key, prefix, delimiter);
    if (fold !== undefined) {
      yield {key: fold, folded: true};
      const beyond = prefixEnd(fold);
      if (fold === key && place.kind === 'directory') cursor.skip();
      else if (beyond === undefined) return;
      else cursor.seek(beyond);
      continue;
    }
    if (flat) cursor.skip();
    const inode = inodeAt(reader, place);
    if (request.view === 'keys' && !isKey(reader, inode)) continue;
    const shadowed = flat && place.kind !== 'directory' && reader.get(entryKey(directory.id, entryName(place.name, 'directory'))) !== undefined;
    yield {key, info: lookAt(reader, (path + key) as ByteString, place, inode), ...(shadowed ? {shadowed} : {})};
  }
}

/** Where the listing begins; undefined when nothing can follow `after`. */
function firstKey(prefix: ByteString, after: ByteString | undefined, delimiter: ByteString | undefined): ByteString | undefined {
  if (after === undefined || after < prefix) return prefix;
  const folded = delimiter !== undefined && after.startsWith(prefix) && foldedKey(after, prefix, delimiter) === after;
  return folded ? prefixEnd(after) : (`${after}\0` as ByteString);
}

/** The key up to and with the first delimiter after the prefix. */
export function foldedKey(key: ByteString, prefix: ByteString, delimiter: ByteString): ByteString | undefined {
  const at = key.indexOf(delimiter, prefix.length);
  return at < 0 ? undefined : (key.slice(0, at + delimiter.length) as ByteString);
}

/** What S3 shows: files that have a content, links, and directories that have a marker or were made explicitly and are empty. */
export function isKey(reader: Reader, {kind, id, content, implied}: Inode): boolean {
  if (kind === 'symlink' || content !== undefined) return true;
  return kind === 'directory' && !implied && isEmpty(reader, id);
}
