/**
 * OPEN, READ, WRITE, FLUSH, FSYNC, RELEASE. What may be is handed to the kernel (passthrough.ts), which then reads it without us; all else is read
 * through the client: one version of the file, as it was when it was opened, or its draft once it was changed on this mount.
 */
import {isKind} from '#base/errors.ts';
import type {InodeId} from '#base/ids.ts';
import {appendFlag, openFlag, writeFromCache, writeKillsSetId} from '#codec/fuse/abi.ts';
import {errno} from '#codec/fuse/errno.ts';
import type {FuseHead} from '#codec/fuse/request.ts';
import {openBody, writtenBody} from '#codec/fuse/reply.ts';
import type {OpenFile} from '#client/file-system.ts';
import {type CallContext, systemContext} from '#contracts/context.ts';
import type {FileInfo} from '#contracts/file-info.ts';
import {atInode} from '#frontends/fuse/by-inode.ts';
import {draftNow, draftOf, endDraft, forgetAttributes, joinDraft, publish} from '#frontends/fuse/drafting.ts';
import {Errno, errnoOf} from '#frontends/fuse/failure.ts';
import {type Backing, type FileHandle, isReadable, isWritable} from '#frontends/fuse/handles.ts';
import {checkRoom, hasRoomNow} from '#frontends/fuse/quota.ts';
import type {Rooms} from '#frontends/fuse/rooms.ts';
import type {FileLease} from '#model/file-lease.ts';
import {gone, infoOfNode, orphanOf} from '#frontends/fuse/names.ts';
import {letGo} from '#frontends/fuse/locks.ts';
import type {InodeDraft} from '#frontends/fuse/inode-draft.ts';
import {handOver, mayHandOver} from '#frontends/fuse/passthrough.ts';
import {type Answer, type AnswerNow, type BodyOf, firstUnique, isResent, type MountServices, nodeOf, nothingToSay, type Operation} from '#frontends/fuse/request.ts';
import {dropSetId, hasSetIdNow} from '#frontends/fuse/set-ids.ts';
import {unlessKilled} from '#frontends/fuse/unless-killed.ts';
import {takeBackBytes, takeBackOwn} from '#frontends/fuse/shared-bytes.ts';
import type {Body} from '#contracts/worker-api.ts';

/** Of RELEASE: the last of descriptors that had a lock of the whole file. */
const endsFlock = 2;

/** Closing what was only read brings no FLUSH: there is nothing to publish, and locks are the kernel's own, unless the mount shares them. */
const unflushed = ({locks}: MountServices): number => (locks ? 0 : openFlag.noFlush);

export const open: Operation<'open'> = async (services, head, body, context) => {
  const {heldNames} = services;
  try {
    const answer = await openNode(services, head, body, context);
    heldNames.opened(head.pid);
    return answer;
  } catch (error) {
    const refusal = gone(error);
    if (errnoOf(refusal) === errno.ESTALE) heldNames.refused(head.pid);
    else heldNames.opened(head.pid);
    throw refusal;
  }
};

const openNode: Operation<'open'> = async (services, head, {flags}, context) => {
  const {handles} = services;
  const node = nodeOf(head);
  if (isWritable(flags) && services.readOnly) throw new Errno('EROFS');
  // Also by its descriptor, in /proc, when it has no name any more.
  const info = await infoOfNode(services, node, context).catch(error => {
    if (isKind(error, 'NotFound') && services.heldNames.holds(head.pid, node)) return services.files.retain(node, services.origin, context);
    const orphan = orphanOf(services, node, error);
    if (!services.secondAsks.isSecond(node, head.pid)) throw new Errno('ESTALE');
    return orphan;
  });
  if (info.inode.kind === 'directory') throw new Errno('EISDIR');
  const before = handles.inode(node)?.draft;
  const handle = handles.openedBy(firstUnique(head)) ?? (await openedHandle(services, info, {flags, unique: firstUnique(head)}, context));
  const {backing, draft} = handles.inode(node)!;
  // Of what others write the kernel has only what it was before; what this mount has begun to write meanwhile it has.
  if (draft?.isShared && !before) await takeBackBytes(services, node, draft, {from: 0, to: Infinity}, context);
  // Pages that the kernel holds are of this inode, and an inode's bytes change only by this mount.
  return openBody(handle, (backing ? openFlag.passthrough : openFlag.keepCache) | (isWritable(flags) ? 0 : unflushed(services)), backing?.id);
};

/** On the spot: to be read, by the first who opens it. The kernel may take what it has got before for the same bytes, as in `open`. */
export function openNow(services: MountServices, head: FuseHead, {flags}: BodyOf<'open'>): Answer {
  const {handles, files, heldNames, origin} = services;
  const node = nodeOf(head);
  if (isWritable(flags) || handles.inode(node) || files.isWrittenNow(node) || heldNames.isLooking(head.pid)) return undefined;
  const file = files.openInodeNow(node, origin);
  if (!file || mayHandOver(services, file.info)) return undefined;
  return openBody(handles.addFile({node, flags, unique: firstUnique(head), file}, file.info, undefined), openFlag.keepCache | unflushed(services));
}

/** Whoever opens a file goes on with it when its name goes, or leads to another one (MasterApi.retain): said by the first. Answers the handle's number. */
export async function openedHandle(services: MountServices, info: FileInfo, {flags, unique}: Pick<FileHandle, 'flags' | 'unique'>, context: CallContext): Promise<number> {
  const {handles, files, origin} = services;
  const node = info.inode.id;
  if (isWritable(flags) && handles.inode(node)?.backing) throw new Errno('ETXTBSY');
  let file: OpenFile | undefined;
  using opening = new DisposableStack();
  // Who closes it meanwhile does not let go of it for us.
  opening.use(handles.opening(node));
  try {
    if (!handles.inode(node)) await files.retain(node, origin, context);
    // What is being written is read from its draft, by everybody.
    file = !isReadable(flags) || handles.inode(node)?.draft ? undefined : await opened(services, node, context);
    const backing = file && !isWritable(flags) && !handles.inode(node) && !files.isWrittenNow(node) ? await handOver(services, file, context) : undefined;
    const handle = handles.addFile({node, flags, unique, ...(file ? {file} : {})}, info, backing);
    // Who begins to write it from now on tells us.
    if (files.isWrittenNow(node)) await joinDraft(services, node);
    return handle;
  } catch (error) {
    await file?.[Symbol.asyncDispose]();
    opening.dispose();
    if (!handles.isHeld(node)) await files.release(node, origin, context);
    throw error;
  }
}

/** Moves of one file that may come between while one request is carried out. */
const movesMax = 8;

/** The file, read as it is now; also one that has lost its name, by those who retain it. */
async function opened({files, origin}: MountServices, node: InodeId, context: CallContext): Promise<OpenFile> {
  for (let moves = 0; ; moves++) {
    try {
      return await atInode({files}, node, context, async path => {
        const file = await files.open(path, {kind: 'file'}, context);
        if (file.info.inode.id === node) return file;
        await file[Symbol.asyncDispose]();
        throw new Errno('ESTALE');
      });
    } catch (error) {
      if (!isKind(error, 'NotFound') && !(error instanceof Errno)) throw error;
      const info = await files.retain(node, origin, context);
      if (info.path === '') return files.openRetained(info);
      // It has got another name between the question for that and the opening.
      if (moves === movesMax) throw error;
    }
  }
}

/** What an earlier daemon has registered, held again: what the kernel reads by itself must not be evicted. Undefined for 0. */
export async function restoredBacking(services: MountServices, info: FileInfo, id: number, context: CallContext): Promise<Backing | undefined> {
  if (id === 0) return undefined;
  const file = await opened(services, info.inode.id, context).catch(() => undefined);
  const lease = await file?.lease(context).catch(() => undefined);
  await file?.[Symbol.asyncDispose]();
  // Without one it is not cached any more, so there is nothing to evict: the kernel has the last descriptor of it.
  return {id, ...(lease ? {lease} : {})};
}

export const read: Operation<'read'> = (services, _head, {handle, offset, size}, context) => readHandle(services, handleOf(services, handle), Number(offset), size, context);

/** On the spot, where the bytes are cached and in memory. */
export function readNow({handles, room}: MountServices, _head: FuseHead, {handle, offset, size}: BodyOf<'read'>): Answer {
  const open = handles.file(handle);
  if (!open?.file || handles.inode(open.node)!.draft) return undefined;
  const from = Number(offset);
  const length = Math.min(size, open.file.info.length - from, room.length);
  if (length <= 0) return undefined;
  const bytes = room.subarray(0, length);
  return open.file.readNow(from, bytes) ? bytes : undefined;
}

/** The file as it is to whoever has it open; short at its end. */
export async function readHandle(services: MountServices, open: FileHandle, from: number, size: number, context: CallContext): Promise<Answer> {
  const {draft, changing} = services.handles.inode(open.node)!;
  if (draft && changing) await unlessKilled(changing, context);
  if (draft) return await draft.read(from, size, context);
  if (!isReadable(open.flags)) throw new Errno('EBADF');
  let file = open.file ?? (await reopened(services, open, context));
  for (let moves = 0; ; moves++) {
    if (!file) throw new Errno('ESTALE');
    try {
      return await readFile(services, file, from, size, context);
    } catch (error) {
      if (!isKind(error, 'ContentChanged', 'NotFound')) throw error;
      if (moves === movesMax) throw new Errno('ESTALE');
      file = await reopened(services, open, context);
    }
  }
}

async function readFile({rooms}: Pick<MountServices, 'rooms'>, file: OpenFile, from: number, size: number, context: CallContext): Promise<Answer> {
  const length = Math.min(size, file.info.length - from);
  return length <= 0 ? undefined : await bytesOf(rooms, await file.read({offset: from, length}, context));
}

/** A file that was renamed, or has lost its name, lies elsewhere in its store. It is the same inode, which only this mount changes; undefined when it is gone. */
async function reopened(services: MountServices, open: FileHandle, context: CallContext): Promise<OpenFile | undefined> {
  // What is just being moved out of the way of another is waited for.
  const file = await services.files.retain(open.node, services.origin, context).then(() => opened(services, open.node, context)).catch(() => undefined);
  if (!file) return undefined;
  await open.file?.[Symbol.asyncDispose]();
  return (open.file = file);
}

async function bytesOf(rooms: Rooms, body: Body): Promise<Answer> {
  if (body.kind === 'bytes') return body.bytes;
  const bytes = rooms.take(body.length);
  let at = 0;
  if (body.kind === 'lease') at = await readLease(body.lease, bytes);
  else {
    for await (const piece of body.stream.pieces?.() ?? body.stream) {
      if (!(piece instanceof Uint8Array)) at += await readLease(piece, bytes.subarray(at));
      else {
        bytes.set(piece, at);
        at += piece.length;
      }
    }
  }
  if (at !== bytes.length) throw new Errno('EIO');
  return bytes;
}

/** The lease ends with it. */
async function readLease(leased: FileLease, into: Uint8Array): Promise<number> {
  using lease = leased;
  let at = 0;
  while (at < lease.length) {
    const count = await lease.read(into.subarray(at, lease.length), lease.offset + at);
    if (count === 0) break;
    at += count;
  }
  await lease.validate?.();
  return at;
}

/** Where a program appends is the end, whatever its kernel takes for that: others may have appended. */
const appends = ({flags, openFlags}: BodyOf<'write'>): boolean => (openFlags & appendFlag) !== 0 && (flags & writeFromCache) === 0;

/** What the kernel sends again may have been appended by the daemon before, whole or in part, and others may have appended since. */
async function appendedBefore(draft: InodeDraft, {offset, data}: BodyOf<'write'>, context: CallContext): Promise<'whole' | 'partly' | 'not'> {
  const end = offset + data.length;
  if (draft.length <= end) return 'partly';
  return Buffer.compare(await draft.read(offset, data.length, context), data) === 0 ? 'whole' : 'not';
}

export const write: Operation<'write'> = (services, head, body, context) => beforeReads(services, body.handle, writeBytes(services, head, body, context));

/** The kernel may have dropped the pages that it has put the bytes of a WRITE into, and READ them again: what comes after a WRITE shows it. */
function beforeReads<T>({handles}: Pick<MountServices, 'handles'>, handle: number, change: Promise<T>): Promise<T> {
  const file = handles.file(handle);
  const open = file && handles.inode(file.node);
  if (!open) return change;
  const done: Promise<unknown> = Promise.allSettled([open.changing, change]).then(() => {
    if (open.changing === done) delete open.changing;
  });
  open.changing = done;
  return change;
}

const writeBytes: Operation<'write'> = async (services, head, body, context) => {
  const {handle, offset, data, flags: how} = body;
  // The message's buffer is the next request's too.
  const bytes = services.rooms.take(data.length);
  bytes.set(data);
  const {node, flags} = handleOf(services, handle);
  if (!isWritable(flags)) throw new Errno('EBADF');
  const draft = await draftOf(services, node, {empty: false}, context);
  const before = appends(body) && isResent(head) ? await appendedBefore(draft, {...body, data: bytes}, context) : 'not';
  if (before === 'whole') return writtenBody(bytes.length);
  const appended = appends(body) && before === 'not';
  await checkRoom(services, node, (appended ? Math.max(offset, draft.length) : offset) + bytes.length, context);
  if (how & writeKillsSetId) await dropSetId(services, node, context);
  const at = appended ? await draft.write(undefined, bytes, context, Number(firstUnique(head))) : await draft.write(offset, bytes, context);
  services.rooms.give(bytes);
  // The kernel has put them where it thinks, and may hold that page until it is answered.
  if (draft.isShared && at === offset) void takeBackOwn(services, node, draft, {from: at, to: at + bytes.length}).catch(() => undefined);
  if (at !== offset) void takeBackBytes(services, node, draft, {from: Math.min(at, offset), to: Infinity}, {...context, signal: systemContext.signal}).catch(() => undefined);
  return writtenBody(bytes.length);
};

/** On the spot: to a draft that is being written already, or of a file that has no bytes yet. */
export function writeNow(services: MountServices, _head: FuseHead, body: BodyOf<'write'>): Answer {
  const {handle, offset, data, flags} = body;
  const open = services.handles.file(handle);
  if (!open || !isWritable(open.flags) || !hasRoomNow(services, open.node, offset + data.length)) return undefined;
  if (flags & writeKillsSetId && hasSetIdNow(services, open.node) !== false) return undefined;
  const draft = draftNow(services, open.node);
  if (!draft || (appends(body) && draft.length !== offset)) return undefined;
  return draft.writeNow(offset, data) ? writtenBody(data.length) : undefined;
}

/** Every close of a descriptor brings one: its errors are what close(2) says. */
export const flush: Operation<'flush'> = async (services, _head, {handle, lockOwner}, context) => {
  const {node, flags} = handleOf(services, handle);
  try {
    if (isWritable(flags)) await publish(services, node, context);
    const draft = isWritable(flags) ? services.handles.inode(node)?.draft : undefined;
    if (draft?.isShared) await takeBackOwn(services, node, draft, {from: 0, to: Infinity});
  } finally {
    await letGo(services, node, lockOwner, false, context);
  }
  return undefined;
};

/** On the spot, of what was opened to be written. */
export function flushNow(services: MountServices, _head: FuseHead, {handle}: BodyOf<'flush'>, context: CallContext): AnswerNow {
  const open = services.handles.file(handle);
  if (!open || services.locks) return undefined;
  const draft = isWritable(open.flags) ? services.handles.inode(open.node)?.draft : undefined;
  if (draft?.isShared) return undefined;
  const published = draft ? draft.publishNow(context) : 'unchanged';
  if (published === undefined) return undefined;
  if (published === 'unchanged') return nothingToSay;
  if (draft!.isShown) forgetAttributes(services, open.node);
  return published.safe ? published.safe.then(() => undefined) : nothingToSay;
}

export const fsync: Operation<'fsync'> = async (services, _head, {handle}, context) => {
  const {node} = handleOf(services, handle);
  await Promise.all([services.handles.inode(node)?.draft?.sync(context), services.files.sync(node, context)]);
  return undefined;
};

/** On the spot but for the disk: where nothing but what was written since the last one has to last. */
export function fsyncNow({handles, files}: MountServices, _head: FuseHead, {handle}: BodyOf<'fsync'>): AnswerNow {
  const open = handles.file(handle);
  if (!open || !files.lastsNow(open.node)) return undefined;
  const {draft} = handles.inode(open.node)!;
  return draft ? draft.syncNow()?.then(() => undefined) : nothingToSay;
}

export const release: Operation<'release'> = async (services, _head, {handle, flags, lockOwner}, context) => {
  const node = services.handles.file(handle)?.node;
  if (node !== undefined && flags & endsFlock) await letGo(services, node, lockOwner, true, context);
  await close(services, handle, context);
  return undefined;
};

/** On the spot: of what was only read, without a trace, or is published. */
export function releaseNow({handles, files, origin}: MountServices, {handle, flags}: BodyOf<'release'>): boolean {
  const open = handles.file(handle);
  if (!open || flags & endsFlock) return false;
  const inode = handles.inode(open.node)!;
  if (inode.handles === 1) {
    if (inode.drafting || inode.backing || handles.isEnding(open.node)) return false;
    if (inode.draft) {
      if (!inode.draft.closeNow()) return false;
      inode.draft = undefined;
    }
    if (handles.isOpening(open.node) || !files.releaseNow(open.node, origin)) return false;
  }
  handles.closeFile(handle);
  return true;
}

async function close(services: MountServices, number: number, context: CallContext): Promise<void> {
  const node = services.handles.file(number)?.node;
  if (node === undefined) return;
  const draft = services.handles.inode(node)?.draft;
  const last = services.handles.closeFile(number);
  if (!last) return;
  await services.handles.ending(node, endDraft(services, last, context), draft);
  // Opened again meanwhile: then it is let go by that one's end.
  if (!services.handles.isHeld(node)) await services.files.release(node, services.origin, context);
}

export function handleOf({handles}: MountServices, number: number): FileHandle {
  const handle = handles.file(number);
  if (!handle) throw new Errno('EBADF');
  return handle;
}
