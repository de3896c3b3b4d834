/** An inode as the kernel sees it. */
import {blockBytes, direntType, type FuseAttributes} from '#codec/fuse/reply.ts';
import type {FileInfo} from '#contracts/file-info.ts';
import type {Handles} from '#frontends/fuse/handles.ts';
import type {NodeNumbers} from '#frontends/fuse/node-numbers.ts';
import type {Inode} from '#model/inode.ts';
import {parseSpecial} from '#model/special-file.ts';

const typeShift = 12;
const superuser = {uid: 0, gid: 0};

/** Whose all is to whoever looks at the mount, whatever the namespace says; and bits of modes that it does not show. */
export interface ShownAs {
  readonly uid?: number;
  readonly gid?: number;
  readonly umask: number;
  /** Whose that is which belongs to the namespace's root, as all does that S3 has made: that of an ordinary user who mounts what is his own. */
  readonly root?: {readonly uid: number; readonly gid: number};
}

interface Showing {
  readonly handles: Pick<Handles, 'inode'>;
  readonly shownAs: ShownAs;
  readonly numbered: NodeNumbers;
}

/** The type of an entry; shifted by 12, that of a mode. */
export function typeOf({kind, target}: Pick<Inode, 'kind' | 'target'>): number {
  return direntType[kind === 'special' ? parseSpecial(target).type : kind];
}

/**
 * A directory has one link for its name, one for its own `.`, and those of its children's `..`. A file that is
 * being written on this mount is as its draft is. `kept`: the kernel may believe it for some time.
 */
export function attributesOf({inode, length, subdirectories = 0}: FileInfo, {handles, shownAs, numbered}: Showing, kept = true): FuseAttributes {
  const {root = superuser, umask} = shownAs;
  const {uid = inode.uid === superuser.uid ? root.uid : inode.uid, gid = inode.gid === superuser.gid ? root.gid : inode.gid} = shownAs;
  const size = inode.kind === 'symlink' ? (inode.target?.length ?? 0) : inode.kind === 'directory' ? blockBytes : length;
  const attributes: FuseAttributes = {
    node: numbered(inode.id), size, blocks: Math.ceil(size / blockBytes) * (blockBytes / 512), atime: inode.atime, mtime: inode.mtime, ctime: inode.ctime,
    mode: (typeOf(inode) << typeShift) | (inode.kind === 'symlink' ? inode.mode : inode.mode & ~umask),
    links: inode.kind === 'directory' ? 2 + subdirectories : (inode.links ?? 1), uid, gid, device: inode.kind === 'special' ? parseSpecial(inode.target).device : 0,
  };
  return handles.inode(inode.id)?.draft?.over(attributes, kept) ?? attributes;
}
