/** A fifo, socket or device: a name of the namespace alone, entered like a file. */
import {WeirError} from '#base/errors.ts';
import type {InodeId} from '#base/ids.ts';
import type {FileInfo} from '#contracts/file-info.ts';
import {beginningOf} from '#master/namespace/beginnings.ts';
import {mustWrite, parentFor, touch} from '#master/namespace/directories.ts';
import type {Operation} from '#master/namespace/operation.ts';
import {infoOf} from '#master/namespace/place.ts';
import {checkPut, setFile} from '#master/namespace/put-file.ts';
import {canonicalPath} from '#master/namespace/resolve.ts';
import type {Transaction} from '#metastore/metastore.ts';
import type {Inode} from '#model/inode.ts';
import type {Path} from '#model/path.ts';
import {formatSpecial, type SpecialFile} from '#model/special-file.ts';

const deviceMax = 0xffff_ffff;

/** AlreadyExists, IsADirectory, NotFound, NotADirectory, InvalidArgument (the device's number), PermissionDenied. */
export function makeSpecial(tx: Transaction, op: Operation, path: Path, special: SpecialFile, mode: number): FileInfo {
  if (!Number.isInteger(special.device) || special.device < 0 || special.device > deviceMax) throw new WeirError('InvalidArgument', 'a device has a number of 32 bits');
  const file: Path = {names: path.names, kind: 'file'};
  const parent = parentFor(tx, op, checkPut(tx, op, file, {parents: 'none', existing: 'fail'}), 'none');
  mustWrite(tx, op, parent);
  const inode: Inode = {
    id: op.ids.next<InodeId>(), kind: 'special', parent: parent.id, name: path.names.at(-1)!, ...beginningOf(tx, op, parent, 'special', mode),
    atime: op.now, mtime: op.now, ctime: op.now, target: formatSpecial(special), checkedAt: 0,
  };
  setFile(tx, parent, inode, undefined);
  touch(tx, op, parent);
  return infoOf(canonicalPath(file, inode), inode, parent.mount);
}
