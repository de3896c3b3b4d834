/** GETXATTR, LISTXATTR. What an inode has under `user.`; Weir's own attributes are not shown. */
import {xattrSizeBody} from '#codec/fuse/reply.ts';
import type {Inode} from '#model/inode.ts';
import {Errno} from '#frontends/fuse/failure.ts';
import {infoOfNode} from '#frontends/fuse/names.ts';
import {type Answer, nodeOf, type Operation} from '#frontends/fuse/request.ts';

const own = 'weir.';

export const getxattr: Operation<'getxattr'> = async (services, head, {name, size}, context) => {
  const {xattrs} = (await infoOfNode(services, nodeOf(head), context)).inode;
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
