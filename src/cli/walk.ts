/** Walks of the namespace for commands, page by page. */
import type {ByteString} from '#base/byte-string.ts';
import type {FileSystem} from '#client/file-system.ts';
import type {CallContext} from '#contracts/context.ts';
import type {FileInfo} from '#contracts/file-info.ts';

const pageEntries = 1000;

/** Everything below a directory: its children, or with `tree` all the way down, parents first. Keys are relative to it. */
export async function* walk(files: FileSystem, directory: ByteString, view: 'children' | 'tree', context: CallContext): AsyncGenerator<{key: ByteString; info: FileInfo}> {
  let after: ByteString | undefined;
  do {
    const page = await files.list({directory, view, limit: pageEntries, ...(after === undefined ? {} : {after})}, context);
    for (const entry of page.entries) if ('info' in entry) yield entry;
    after = page.next;
  } while (after !== undefined);
}

/** The files of a path: itself, or all below it. */
export async function* filesBelow(files: FileSystem, path: ByteString, context: CallContext): AsyncGenerator<{key: ByteString; info: FileInfo}> {
  const info = await files.stat(path, {}, context);
  if (info.inode.kind !== 'directory') {
    yield {key: info.path.slice(info.path.lastIndexOf('/') + 1) as ByteString, info};
    return;
  }
  for await (const entry of walk(files, info.path, 'tree', context)) if (entry.info.inode.kind === 'file') yield entry;
}
