/** From an inode back to where it is: upwards by parents. For those who hold an id (open handles, jobs) and not a path. */
import {assert} from '#base/assert.ts';
import {type ByteString, toText} from '#base/byte-string.ts';
import {WeirError} from '#base/errors.ts';
import {type InodeId, type MountId, rootInodeId} from '#base/ids.ts';
import type {CallContext} from '#contracts/context.ts';
import {decodeInode, peekName} from '#codec/namespace/inode-record.ts';
import {entryName, inodeKey} from '#codec/namespace/keys.ts';
import {childOf, inodeRecord, type Place, rootPlace} from '#master/namespace/place.ts';
import {resolve} from '#master/namespace/resolve.ts';
import type {Reader} from '#metastore/metastore.ts';
import type {Inode} from '#model/inode.ts';
import {parsePath, pathBytesMax} from '#model/path.ts';

const nothing: NonNullable<CallContext['expects']> = [];

/** The place of an inode, and its canonical path. Undefined when it has gone, or lies in a tree that was removed. */
export function locate(reader: Reader, id: InodeId): {place: Place; path: ByteString} | undefined {
  if (id === rootInodeId && !reader.look(inodeKey(id))) return undefined;
  const chain: Pick<Inode, 'id' | 'kind' | 'parent' | 'name'>[] = [];
  for (let at = id; at !== rootInodeId; at = chain.at(-1)!.parent) {
    const record = reader.look(inodeKey(at));
    if (!record) return undefined;
    chain.push({id: at, ...peekName(record)});
    assert(chain.length <= pathBytesMax, `inode ${id} lies in a circle`);
  }
  let place = rootPlace;
  let path = '/';
  for (const {id: expected, name, kind} of chain.reverse()) {
    const next = childOf(reader, place, name, kind === 'directory' ? 'directory' : 'file');
    if (next?.id !== expected) return undefined;
    place = next;
    path += entryName(name, kind);
  }
  return {place, path: path as ByteString};
}

/** What a caller believes. Throws Conflict when a path leads elsewhere by now. */
export function checkExpected(reader: Reader, expects: CallContext['expects']): void {
  for (const {path, inode} of expects ?? nothing) {
    if (resolve(reader, parsePath(path, 'file')).place?.id !== inode) throw new WeirError('Conflict', `${toText(path)} leads elsewhere by now`);
  }
}

/**
 * Under which key the store of the inode's mount has it, as names and store prefixes tell: upwards to the first directory
 * that has a prefix or is a mount point. `mountRoot` bounds the walk as well, for those who know it.
 */
export function storeKeyOf(reader: Reader, inode: Pick<Inode, 'id' | 'kind' | 'name' | 'parent' | 'mount' | 'storePrefix'>, mountRoot: InodeId = rootInodeId): {mount?: MountId; storeKey: ByteString} {
  let key = '';
  let at = inode;
  while (at.storePrefix === undefined && at.mount === undefined && at.id !== mountRoot) {
    key = entryName(at.name, at.kind) + key;
    at = decodeInode(at.parent, inodeRecord(reader, at.parent), '' as ByteString);
  }
  return {storeKey: ((at.storePrefix ?? '') + key) as ByteString, ...(at.mount === undefined ? {} : {mount: at.mount})};
}
