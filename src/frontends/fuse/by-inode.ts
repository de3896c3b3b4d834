/**
 * The kernel names things by inode, the namespace by path, and between asking where an inode is and changing something there it may be
 * renamed. So a change says what it expects (CallContext.expects), and is tried again where the inode is then.
 */
import type {ByteString} from '#base/byte-string.ts';
import type {InodeId} from '#base/ids.ts';
import type {CallContext} from '#contracts/context.ts';
import type {FileInfo} from '#contracts/file-info.ts';
import type {MountServices} from '#frontends/fuse/request.ts';
import type {AttributePatch} from '#model/inode.ts';

/** Renames of what leads to one inode that may come between while one request is carried out. */
const movesMax = 16;

/** `step` gets the canonical path of the inode, and a context in which changes are made only while it is there. NotFound when it has no name any more. */
export async function atInode<T>({files}: Pick<MountServices, 'files'>, node: InodeId, context: CallContext, step: (path: ByteString, context: CallContext) => Promise<T>): Promise<T> {
  let path = await files.pathOf(node, context);
  for (let moves = 0; ; moves++) {
    try {
      return await step(path, {...context, expects: [...(context.expects ?? []), {path, inode: node}]});
    } catch (error) {
      const now = await files.pathOf(node, context);
      if (now === path || moves >= movesMax) throw error;
      path = now;
    }
  }
}

/** Changes attributes of the inode, wherever it is. */
export async function patched(services: MountServices, node: InodeId, patch: AttributePatch, context: CallContext): Promise<FileInfo> {
  const info = await atInode(services, node, context, (path, at) => services.files.setAttributes(path, patch, {kind: 'file'}, at));
  // So it stays for who has it open when its name goes.
  const open = services.handles.inode(node);
  if (open) open.info = info;
  return info;
}
