/** A file that was being written gets its content; the inode stays (unlike putFile, which is a replacement from elsewhere). */
import {WeirError} from '#base/errors.ts';
import type {InodeId} from '#base/ids.ts';
import type {FileInfo} from '#contracts/file-info.ts';
import {discardReplaced} from '#master/namespace/garbage.ts';
import {locate, type Located} from '#master/namespace/locate.ts';
import {millisecondsOf, type Operation} from '#master/namespace/operation.ts';
import {infoOf, inodeAt, writeInode} from '#master/namespace/place.ts';
import {addUsage} from '#master/namespace/usage.ts';
import type {Transaction} from '#metastore/metastore.ts';
import type {Content, TimeNs} from '#model/content.ts';
import type {Inode} from '#model/inode.ts';

/** NotFound (removed or replaced meanwhile), IsADirectory. `mtime` defaults to now. */
export function setContent(tx: Transaction, op: Operation, id: InodeId, content: Content, mtime: TimeNs = op.now): FileInfo {
  const found = locate(tx, id);
  if (!found) throw new WeirError('NotFound', `the file that was being written (inode ${id}) does not exist any more`);
  const {place} = found;
  if (place.kind !== 'file') throw new WeirError('IsADirectory', `inode ${id} is a ${place.kind}`);
  return setContentAt(tx, op, found, inodeAt(tx, place), content, mtime);
}

/** The same of a file that was found, and is `old`, in this very turn. */
export function setContentAt(tx: Transaction, op: Operation, {place, path}: Located, old: Inode, content: Content, mtime: TimeNs): FileInfo {
  discardReplaced(tx, old);
  const inode = {...old, content, mtime, ctime: op.now, checkedAt: millisecondsOf(op.now)};
  writeInode(tx, inode, place.storeKey);
  addUsage(tx, place.mount, {files: 0, directories: 0, bytes: content.length - (old.content?.length ?? 0)});
  return infoOf(path, inode, place.mount);
}
