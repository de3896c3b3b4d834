/** A symbolic link: a name that holds another path, uninterpreted. Entered like a file; walks do not follow it. */
import type {ByteString} from '#base/byte-string.ts';
import {WeirError} from '#base/errors.ts';
import type {InodeId} from '#base/ids.ts';
import type {FileInfo} from '#contracts/file-info.ts';
import {ownerOf} from '#master/namespace/beginnings.ts';
import {mustWrite, parentFor, touch} from '#master/namespace/directories.ts';
import type {Operation} from '#master/namespace/operation.ts';
import {infoOf} from '#master/namespace/place.ts';
import {checkPut, setFile} from '#master/namespace/put-file.ts';
import {canonicalPath} from '#master/namespace/resolve.ts';
import type {Transaction} from '#metastore/metastore.ts';
import type {Inode} from '#model/inode.ts';
import {type Path, pathBytesMax} from '#model/path.ts';

const symlinkMode = 0o777;

/** AlreadyExists, IsADirectory, NotFound, NotADirectory, InvalidArgument (an empty or overlong target), PermissionDenied. */
export function makeSymlink(tx: Transaction, op: Operation, path: Path, target: ByteString): FileInfo {
  if (target === '' || target.length > pathBytesMax || target.includes('\0')) throw new WeirError('InvalidArgument', `a link's target has 1 to ${pathBytesMax} bytes and no NUL`);
  const file: Path = {names: path.names, kind: 'file'};
  const resolution = checkPut(tx, op, file, {parents: 'none', existing: 'fail'});
  const parent = parentFor(tx, op, resolution, 'none');
  mustWrite(tx, op, parent);
  const inode: Inode = {
    id: op.ids.next<InodeId>(), kind: 'symlink', parent: parent.id, name: path.names.at(-1)!, mode: symlinkMode, ...ownerOf(tx, op, parent),
    atime: op.now, mtime: op.now, ctime: op.now, target, checkedAt: 0,
  };
  setFile(tx, parent, inode, undefined);
  touch(tx, op, parent);
  return infoOf(canonicalPath(file, inode), inode, parent.mount);
}
