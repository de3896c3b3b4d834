/** GETXATTR, LISTXATTR. What an inode has under `user.`; Weir's own attributes are not shown. */
import {xattrSizeBody} from '#codec/fuse/reply.ts';
import {persistJson} from '#codec/rest/values.ts';
import type {CallContext} from '#contracts/context.ts';
import type {FileInfo} from '#contracts/master-api.ts';
import type {Inode} from '#model/inode.ts';
import {Errno} from '#frontends/fuse/failure.ts';
import {infoOfNode} from '#frontends/fuse/names.ts';
import {type Answer, nodeOf, type Operation} from '#frontends/fuse/request.ts';

const own = 'weir.';
const aclPrefix = 'system.posix_acl_';
/** Asked for by its name, and in no list: copies of a file do not have it. JSON; absent on what is no file. */
const persistAttribute = 'weir.persist';

/** A list that is kept but not obeyed would be worse than none: told so, programs that keep a file's rights (sed -i, cp -p) set its mode. */
export function refuseAcl(name: string): void {
  if (name.startsWith(aclPrefix)) throw new Errno('ENOTSUP');
}

async function persistValue({files}: Parameters<Operation<'getxattr'>>[0], {path, inode}: FileInfo, context: CallContext): Promise<Uint8Array> {
  if (inode.kind !== 'file' || path === '') throw new Errno('ENODATA');
  const [pending] = inode.content?.pending ? (await files.listPending({path, limit: 1}, context)).entries : [];
  return Buffer.from(JSON.stringify(pending ? persistJson(pending) : {state: 'persisted'}));
}

export const getxattr: Operation<'getxattr'> = async (services, head, {name, size}, context) => {
  refuseAcl(name);
  const info = await infoOfNode(services, nodeOf(head), context);
  if (name === persistAttribute) return sized(await persistValue(services, info, context), size);
  const {xattrs} = info.inode;
  const value = name.startsWith(own) || !xattrs || !Object.hasOwn(xattrs, name) ? undefined : xattrs[name];
  if (!value) throw new Errno('ENODATA');
  return sized(value, size);
};

export const listxattr: Operation<'listxattr'> = async (services, head, {size}, context) => {
  return sized(Buffer.from(shown((await infoOfNode(services, nodeOf(head), context)).inode).map(name => `${name}\0`).join('')), size);
};

const shown = ({xattrs}: Inode): readonly string[] => Object.keys(xattrs ?? {}).filter(name => !name.startsWith(own));

/** Size 0 asks how much room it takes. */
function sized(value: Uint8Array, size: number): Answer {
  if (size === 0) return xattrSizeBody(value.length);
  if (value.length > size) throw new Errno('ERANGE');
  return value;
}
