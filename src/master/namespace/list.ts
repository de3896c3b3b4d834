/**
 * Listings: pages of what lies below a directory, resumable by key alone. Three views (contracts/listings.ts): `keys` as
 * S3 shows it, `children` and `tree` as a file system does.
 *
 * What makes folding cheap: every directory holds at least one key (implied ones vanish with their last child, empty
 * explicit ones are keys themselves), so that a directory met is a prefix to show, without looking into it.
 */
import {type ByteString, prefixEnd} from '#base/byte-string.ts';
import {WeirError} from '#base/errors.ts';
import {entryKey, entryName} from '#codec/namespace/keys.ts';
import type {Principal} from '#contracts/context.ts';
import type {ListEntry, ListPage, ListRequest} from '#contracts/listings.ts';
import {denied, mayAccess} from '#master/namespace/access.ts';
import {type CursorEntry, KeyCursor} from '#master/namespace/key-cursor.ts';
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
export function listPlace(reader: Reader, directory: Place, path: ByteString, {prefix = '' as ByteString, after, delimiter: folding, limit, view}: Omit<ListRequest, 'directory'>): ListPage {
  const entries: ListEntry[] = [];
  const delimiter = view === 'keys' ? folding : undefined;
  const from = firstKey(prefix, after, delimiter);
  if (from === undefined) return {entries};
  const flat = view === 'children';
  const cursor = new KeyCursor(reader, directory, delimiter === undefined ? limit + 1 : undefined);
  if (flat) cursor.seekChild(from);
  else cursor.seek(from);
  for (let found = cursor.next(); found; found = cursor.next()) {
    const {key, place} = found;
    if (!key.startsWith(prefix)) break;
    const fold = delimiter === undefined ? undefined : foldedKey(key, prefix, delimiter);
    const entry = fold === undefined ? entryAt(reader, directory, path, found, view) : ({key: fold, folded: true} as const);
    if (entry) {
      if (entries.length === limit) return {entries, next: entries.at(-1)!.key};
      entries.push(entry);
    }
    if (fold !== undefined) {
      const beyond = prefixEnd(fold);
      if (fold === key && place.kind === 'directory') cursor.skip();
      else if (beyond === undefined) break;
      else cursor.seek(beyond);
    } else if (flat) cursor.skip();
  }
  return {entries};
}

/** Undefined where the view does not show it. */
function entryAt(reader: Reader, directory: Place, path: ByteString, {key, place}: CursorEntry, view: ListRequest['view']): ListEntry | undefined {
  const inode = inodeAt(reader, place);
  if (view === 'keys' && !isKey(reader, inode)) return undefined;
  const info = lookAt(reader, (path + key) as ByteString, place, inode);
  const shadowed = view === 'children' && place.kind !== 'directory' && reader.get(entryKey(directory.id, entryName(place.name, 'directory'))) !== undefined;
  return shadowed ? {key, info, shadowed} : {key, info};
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
