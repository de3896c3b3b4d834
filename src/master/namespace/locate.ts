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

/** Where an inode is: canonical path, place, and the place of the directory above (the root's own of the root). */
export interface Located {
  readonly path: ByteString;
  readonly place: Place;
  readonly parent: Place;
}

const root: Located = {path: '/' as ByteString, place: rootPlace, parent: rootPlace};

type Step = Pick<Inode, 'kind' | 'parent' | 'name'>;

/** Undefined when it has gone, or lies in a tree that was removed. Where directories are is recalled. */
export function locate(reader: Reader, id: InodeId): Located | undefined {
  if (id === rootInodeId) return reader.look(inodeKey(id)) ? root : undefined;
  const known = reader.recall(id) as Located | undefined;
  if (known) return known;
  const step = stepOf(reader, id);
  const above = step && (step.parent === rootInodeId ? root : ((reader.recall(step.parent) as Located | undefined) ?? climb(reader, step.parent)));
  return above && below(reader, above, id, step);
}

function stepOf(reader: Reader, id: InodeId): Step | undefined {
  const record = reader.look(inodeKey(id));
  return record && peekName(record);
}

/** A directory that is not recalled, in a loop, however deep. */
function climb(reader: Reader, id: InodeId): Located | undefined {
  const chain: {readonly id: InodeId; readonly step: Step}[] = [];
  let known: Located | undefined;
  for (let at = id; !known; ) {
    known = at === rootInodeId ? root : (reader.recall(at) as Located | undefined);
    if (known) break;
    const step = stepOf(reader, at);
    if (!step) return undefined;
    chain.push({id: at, step});
    assert(chain.length <= pathBytesMax, `inode ${id} lies in a circle`);
    at = step.parent;
  }
  for (const {id: at, step} of chain.reverse()) {
    known = below(reader, known, at, step);
    if (!known) return undefined;
  }
  return known;
}

/** One step down: undefined where the directory has something else, or nothing, under the name. */
function below(reader: Reader, {path, place: parent}: Located, id: InodeId, {kind, name}: Step): Located | undefined {
  const place = childOf(reader, parent, name, kind === 'directory' ? 'directory' : 'file');
  if (place?.id !== id) return undefined;
  const located: Located = {path: (path + entryName(name, kind)) as ByteString, place, parent};
  if (kind === 'directory') reader.keep(id, located);
  return located;
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
