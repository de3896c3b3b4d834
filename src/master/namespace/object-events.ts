/** What operations tell of objects, where anybody listens. Each is called in the transaction of the change, behind it. */
import type {ByteString} from '#base/byte-string.ts';
import type {InodeId} from '#base/ids.ts';
import type {Operation} from '#master/namespace/operation.ts';
import {resolve} from '#master/namespace/resolve.ts';
import type {Transaction} from '#metastore/metastore.ts';
import {type AttributePatch, type Inode, s3XattrPrefix} from '#model/inode.ts';
import type {EventName} from '#model/notification.ts';
import type {Path} from '#model/path.ts';
import {versionIdOf} from '#model/version.ts';

const taggingXattr = `${s3XattrPrefix}tagging`;
const aclXattr = `${s3XattrPrefix}acl`;

const numbered = (inode: Inode): {readonly versionId?: string} => (inode.version === undefined ? {} : {versionId: versionIdOf(inode)});

/** A path shows this inode from now on. */
export function noteCreated(tx: Transaction, op: Operation, name: EventName, path: Path, inode: Inode): void {
  if (!op.events || !inode.content) return;
  op.events.note(tx, op, {name, names: path.names, marker: inode.kind === 'directory', top: resolve(tx, path).top, inode, ...numbered(inode)});
}

export interface RemovedObject {
  readonly names: readonly ByteString[];
  readonly top: InodeId | undefined;
  /** What was there. */
  readonly inode: Pick<Inode, 'kind' | 'content'>;
}

/** A path shows nothing any more. Directories without a marker, and links, were no objects. */
export function noteRemoved(tx: Transaction, op: Operation, {names, top, inode}: RemovedObject): void {
  if (!op.events || (inode.kind !== 'file' && !inode.content)) return;
  op.events.note(tx, op, {name: 'ObjectRemoved:Delete', names, marker: inode.kind === 'directory', top});
}

/** Tags or grants of what a path names have changed. */
export function noteAttributes(tx: Transaction, op: Operation, path: Path, {xattrs}: AttributePatch, inode: Inode): void {
  if (!op.events || !xattrs) return;
  const tags = xattrs[taggingXattr];
  const names: EventName[] = tags === undefined ? [] : [tags === null ? 'ObjectTagging:Delete' : 'ObjectTagging:Put'];
  if (xattrs[aclXattr] !== undefined) names.push('ObjectAcl:Put');
  for (const name of names) op.events.note(tx, op, {name, names: path.names, marker: inode.kind === 'directory', top: resolve(tx, path).top, inode, ...numbered(inode)});
}
