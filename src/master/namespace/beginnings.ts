/**
 * What a new file or directory begins with: whose it is, its mode, and what it inherits from the default access control list of the
 * directory that it is made in; where there is such a list, the umask of who makes it does not count.
 */
import {type Protected, protectionOfNew} from '#codec/namespace/acl-attributes.ts';
import {peekInode} from '#codec/namespace/inode-record.ts';
import type {Operation} from '#master/namespace/operation.ts';
import {inodeAt, inodeRecord, type Place} from '#master/namespace/place.ts';
import type {Reader} from '#metastore/metastore.ts';
import type {Inode} from '#model/inode.ts';
import {defaultAcl} from '#model/posix-acl.ts';

const setGroupId = 0o2000;

export function makerOf({owner, principal}: Pick<Operation, 'owner' | 'principal'>): {uid: number; gid: number} {
  return owner ? {uid: owner.uid, gid: owner.gid} : {uid: principal?.uid ?? 0, gid: principal?.gids[0] ?? 0};
}

/** On a mount, what is made in a set-group-id directory is the directory's group's. */
export function ownerOf(reader: Reader, op: Operation, parent: Place): {uid: number; gid: number} {
  const maker = makerOf(op);
  const above = op.owner && inodeAt(reader, parent);
  return above && above.mode & setGroupId ? {uid: maker.uid, gid: above.gid} : maker;
}

export function beginningOf(reader: Reader, op: Operation, parent: Place, kind: Protected, asked: number | undefined): Pick<Inode, 'mode' | 'uid' | 'gid' | 'xattrs'> {
  const record = inodeRecord(reader, parent.id);
  const above = op.owner || peekInode(record).hasXattrs ? inodeAt(reader, parent) : undefined;
  const inGroup = op.owner !== undefined && above !== undefined && (above.mode & setGroupId) !== 0;
  const owner = inGroup ? {uid: makerOf(op).uid, gid: above.gid} : makerOf(op);
  const born = protectionOfNew(above?.xattrs?.[defaultAcl], kind, asked, op.owner?.umask ?? 0);
  return {...owner, ...born, mode: born.mode | (inGroup && kind === 'directory' ? setGroupId : 0)};
}
