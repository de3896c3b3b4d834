/** GETXATTR, LISTXATTR. What an inode has, its access control lists among it; Weir's own attributes are not shown. */
import type {ByteString} from '#base/byte-string.ts';
import {xattrSizeBody} from '#codec/fuse/reply.ts';
import type {FuseHead} from '#codec/fuse/request.ts';
import {persistJson} from '#codec/rest/values.ts';
import type {CallContext} from '#contracts/context.ts';
import type {FileInfo} from '#contracts/file-info.ts';
import type {Inode} from '#model/inode.ts';
import {Errno} from '#frontends/fuse/failure.ts';
import {infoOfNode, orphanOf} from '#frontends/fuse/names.ts';
import {type Answer, type AnswerNow, type BodyOf, type MountServices, nodeOf, type Operation} from '#frontends/fuse/request.ts';

const own = 'weir.';
/** The answer to most that is asked: the kernel looks for capabilities of each file that is written. */
const noData = new Errno('ENODATA');
const notSupported = new Errno('ENOTSUP');
/** Security modules' own: a mount has one label for all its files, or none. Programs that learn so do not ask again file by file. */
const label = 'security.selinux';
/** Asked for by its name, and in no list: copies of a file do not have it. JSON; absent on what is no file. */
const persistAttribute = 'weir.persist';

async function persistValue({files}: Parameters<Operation<'getxattr'>>[0], {path, inode}: FileInfo, context: CallContext): Promise<Uint8Array> {
  if (inode.kind !== 'file' || path === '') throw new Errno('ENODATA');
  const [pending] = inode.content?.pending ? (await files.listPending({path, limit: 1}, context)).entries : [];
  return Buffer.from(JSON.stringify(pending ? persistJson(pending) : {state: 'persisted'}));
}

/** On the spot, or undefined. The kernel asks for access control lists of what it judges for others than the owner. */
export function getxattrNow({files}: MountServices, head: FuseHead, {name, size}: BodyOf<'getxattr'>): AnswerNow {
  const found = name === persistAttribute ? undefined : files.statInodeNow(nodeOf(head));
  const value = found && valueOf(found.info.inode, name);
  return value instanceof Uint8Array ? sized(value, size) : value;
}

function valueOf({xattrs}: Inode, name: ByteString): Uint8Array | Errno {
  if (name === label) return notSupported;
  const value = name.startsWith(own) || !xattrs || !Object.hasOwn(xattrs, name) ? undefined : xattrs[name];
  return value ?? noData;
}

export const getxattr: Operation<'getxattr'> = async (services, head, {name, size}, context) => {
  const info = await infoOfNode(services, nodeOf(head), context).catch(error => orphanOf(services, nodeOf(head), error));
  if (name === persistAttribute) return sized(await persistValue(services, info, context), size);
  const value = valueOf(info.inode, name);
  if (value instanceof Errno) throw value;
  return sized(value, size);
};

export const listxattr: Operation<'listxattr'> = async (services, head, {size}, context) => {
  const {inode} = await infoOfNode(services, nodeOf(head), context).catch(error => orphanOf(services, nodeOf(head), error));
  return sized(Buffer.from(shown(inode).map(name => `${name}\0`).join('')), size);
};

/** EPERM, ENOTSUP: for an attribute that cannot be set. */
export function checkMayChange(name: ByteString): void {
  if (name === label) throw notSupported;
  if (name.startsWith(own)) throw new Errno('EPERM');
}

const shown = ({xattrs}: Inode): readonly string[] => Object.keys(xattrs ?? {}).filter(name => name !== label && !name.startsWith(own));

/** Size 0 asks how much room it takes. */
function sized(value: Uint8Array, size: number): Answer {
  if (size === 0) return xattrSizeBody(value.length);
  if (value.length > size) throw new Errno('ERANGE');
  return value;
}
