/**
 * The kernel's numbers of nodes are inode ids, but for one: it calls the root of every mount 1. Of a mount that has a subdirectory as its root,
 * that and the namespace's own root change their numbers, which is the same in both directions.
 */
import {fromText} from '#base/byte-string.ts';
import {type InodeId, rootInodeId} from '#base/ids.ts';
import type {FileSystem} from '#client/file-system.ts';
import type {CallContext} from '#contracts/context.ts';
import {formatPath, parsePath} from '#model/path.ts';

export type NodeNumbers = (number: number) => number;

export function nodeNumbers(root: InodeId): NodeNumbers {
  return number => (number === root ? rootInodeId : number === rootInodeId ? root : number);
}

/** What a mount has as its root: the directory that has this path now, wherever it is moved later. NotFound, InvalidPath. */
export async function rootOf(files: Pick<FileSystem, 'stat'>, subdirectory: string | undefined, context: CallContext): Promise<InodeId> {
  if (subdirectory === undefined) return rootInodeId;
  const {names} = parsePath(fromText(subdirectory.startsWith('/') ? subdirectory : `/${subdirectory}`));
  return (await files.stat(formatPath({names, kind: 'directory'}), {}, context)).inode.id;
}
