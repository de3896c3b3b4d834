/** What is done to a file or to every file below a directory: walk, load, free, pin; a bounded number of files at a time. */
import type {ByteString} from '#base/byte-string.ts';
import {WeirError, isKind} from '#base/errors.ts';
import type {ContentId} from '#base/ids.ts';
import type {CallContext} from '#contracts/context.ts';
import type {FileInfo, PathOptions} from '#contracts/file-info.ts';
import type {MasterApi} from '#contracts/master-api.ts';
import type {WorkerApi} from '#contracts/worker-api.ts';
import type {Content} from '#model/content.ts';

const entriesAPage = 1000;
const filesLoadedAtOnceMax = 4;

export interface TreeFile {
  readonly info: FileInfo;
  readonly content: Content;
}

export interface TreeLoadProgress {
  readonly path: ByteString;
  readonly loadedBytes: number;
  readonly totalBytes: number;
}

/** The file itself, or every file with content below the directory. */
export async function* walkFiles(master: Pick<MasterApi, 'stat' | 'list'>, path: ByteString, options: PathOptions, context: CallContext): AsyncGenerator<TreeFile, void, undefined> {
  const root = await master.stat(path, options, context);
  if (root.inode.kind !== 'directory') {
    if (root.inode.content) yield {info: root, content: root.inode.content};
    return;
  }
  let after: ByteString | undefined;
  do {
    const page = await master.list({directory: root.path, view: 'tree', limit: entriesAPage, ...(after === undefined ? {} : {after})}, context);
    for (const entry of page.entries) {
      if ('info' in entry && entry.info.inode.content) yield {info: entry.info, content: entry.info.inode.content};
    }
    after = page.next;
  } while (after !== undefined);
}

/** Several files at a time; yields whenever one of them has got on. */
export async function* loadTree(master: MasterApi, worker: WorkerApi, path: ByteString, options: PathOptions, context: CallContext): AsyncGenerator<TreeLoadProgress, void, undefined> {
  const files = walkFiles(master, path, options, context);
  const running = new Map<number, Promise<{readonly id: number; readonly result: IteratorResult<TreeLoadProgress, void>; readonly load: AsyncGenerator<TreeLoadProgress, void>}>>();
  let lastId = 0;
  let isWalking = true;
  const step = (id: number, load: AsyncGenerator<TreeLoadProgress, void>) => {
    const next = load.next().then(result => ({id, result, load}));
    next.catch(() => {});
    running.set(id, next);
  };
  try {
    while (isWalking || running.size > 0) {
      while (isWalking && running.size < filesLoadedAtOnceMax) {
        const next = await files.next();
        if (next.done) isWalking = false;
        else step(++lastId, loadFile(master, worker, next.value, context));
      }
      if (running.size === 0) return;
      const {id, result, load} = await Promise.race(running.values());
      if (result.done) {
        running.delete(id);
      } else {
        step(id, load);
        yield result.value;
      }
    }
  } finally {
    await files.return();
  }
}

async function* loadFile(master: MasterApi, worker: WorkerApi, {info, content}: TreeFile, context: CallContext): AsyncGenerator<TreeLoadProgress, void, undefined> {
  try {
    for await (const progress of worker.load(content, context)) yield {path: info.path, ...progress};
  } catch (error) {
    if (!isKind(error, 'ContentChanged')) throw error;
    const fresh = await master.contentChanged(info.path, content.id, context);
    if (!fresh.inode.content) throw new WeirError('NotFound', 'the file was replaced by something else while it was loaded');
    for await (const progress of worker.load(fresh.inode.content, context)) yield {path: info.path, ...progress};
  }
}

export async function freeTree(master: MasterApi, worker: WorkerApi, path: ByteString, options: PathOptions, context: CallContext): Promise<{files: number}> {
  let files = 0;
  let batch: ContentId[] = [];
  for await (const {content} of walkFiles(master, path, options, context)) {
    files++;
    batch.push(content.id);
    if (batch.length < entriesAPage) continue;
    await worker.free(batch, context);
    batch = [];
  }
  if (batch.length > 0) await worker.free(batch, context);
  return {files};
}

/** Remembered by the namespace for the path, and told to the worker for every file that is there now. */
export async function pinTree(master: MasterApi, worker: WorkerApi, path: ByteString, pinned: boolean, context: CallContext): Promise<void> {
  await master.setAttributes(path, {pinned}, {}, context);
  for await (const {content} of walkFiles(master, path, {}, context)) await worker.pin(content.id, pinned, context);
}
