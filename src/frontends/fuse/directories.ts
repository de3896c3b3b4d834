/**
 * OPENDIR, READDIR, READDIRPLUS, RELEASEDIR. The cookie behind an entry is made of its inode's id, never of a position: reading goes on
 * behind that entry, whatever was added or removed before it.
 */
import {assert} from '#base/assert.ts';
import type {ByteString} from '#base/byte-string.ts';
import type {InodeId} from '#base/ids.ts';
import {notification, openFlag} from '#codec/fuse/abi.ts';
import {DirentBuffer, direntType, invalidateInodeBody, openBody} from '#codec/fuse/reply.ts';
import type {CallContext} from '#contracts/context.ts';
import {attributesOf, typeOf} from '#frontends/fuse/attributes.ts';
import {Errno} from '#frontends/fuse/failure.ts';
import {shownName} from '#frontends/fuse/file-names.ts';
import type {DirectoryHandle} from '#frontends/fuse/handles.ts';
import {infoOfNode} from '#frontends/fuse/names.ts';
import {type Answer, firstUnique, type MountServices, nodeOf, type Operation} from '#frontends/fuse/request.ts';
import type {Inode} from '#model/inode.ts';

const entriesAtOnce = 512;
/** Where there are changes all the time, what is answered is not remembered. */
const fetchRoundsMax = 3;
const dot = 1n;
const dotDot = 2n;
/** Below it an inode's id, behind those of `.` and `..`; above it, for an inode with several names, something of this one. */
const nameShift = 53n;
const nameBits = 0x3ff;
/** Entries that a handle can go back behind, whatever has become of them since. */
const passedMax = 20_000;

function cookieOf({id, links}: Inode, key: ByteString): bigint {
  const cookie = BigInt(id) + dotDot;
  if (links === undefined) return cookie;
  let hash = 0;
  for (let i = 0; i < key.length; i++) hash = (Math.imul(hash, 31) + key.charCodeAt(i)) | 0;
  return cookie | (BigInt(hash & nameBits) << nameShift);
}

const inodeOfCookie = (cookie: bigint): InodeId => Number(BigInt.asUintN(Number(nameShift), cookie) - dotDot) as InodeId;

export const opendir: Operation<'opendir'> = async (services, head, _body, context) => {
  const {inode} = await infoOfNode(services, nodeOf(head), context);
  if (inode.kind !== 'directory') throw new Errno('ENOTDIR');
  const {handles, remembered} = services;
  const {keep, listing} = remembered.openListing(inode.id);
  const handle = handles.openedBy(firstUnique(head)) ?? handles.addDirectory(inode.id, firstUnique(head), listing);
  return openBody(handle, openFlag.cacheDirectory | (keep ? openFlag.keepCache : 0));
};

export const releasedir: Operation<'releasedir'> = async ({handles}, _head, {handle}) => {
  handles.closeDirectory(handle);
  return undefined;
};

export const fsyncdir: Operation<'fsyncdir'> = async ({files}, _head, _body, context) => {
  await files.sync(undefined, context);
  return undefined;
};

export const readdir: Operation<'readdir'> = (services, _head, body, context) => read(services, body, false, context);
export const readdirplus: Operation<'readdirplus'> = (services, _head, body, context) => read(services, body, true, context);

async function read(services: MountServices, {handle: number, offset, size}: {readonly handle: number; readonly offset: bigint; readonly size: number}, plus: boolean, context: CallContext): Promise<Answer> {
  const handle = services.handles.directory(number);
  if (!handle) throw new Errno('EBADF');
  const path = await services.files.pathOf(handle.node, context);
  if (offset !== handle.cookie) await seek(services, handle, offset, context);
  if (handle.rest.length > 0 && !isCurrent(services, handle)) {
    handle.rest = [];
    handle.ended = false;
  }
  const buffer = new DirentBuffer(size);
  if (handle.cookie < dotDot && !(await addDots(services, handle, buffer, plus, context))) return buffer.take();
  const from = handle.after;
  let validUntil = Infinity;
  while (handle.rest.length > 0 || !handle.ended) {
    if (handle.rest.length === 0) {
      await fetch(services, handle, path, context);
      validUntil = Math.min(validUntil, isCurrent(services, handle) ? handle.validUntil : 0);
      continue;
    }
    const taken = add(services, handle, buffer, plus);
    if (taken < handle.rest.length) {
      handle.rest = handle.rest.slice(taken);
      break;
    }
    handle.rest = [];
  }
  const complete = from === handle.after && handle.ended && handle.rest.length === 0;
  const old = services.remembered.readListing(handle.node, handle.listing, {validUntil: Math.min(validUntil, handle.validUntil), reached: handle.after, complete});
  if (old) void services.device.notify(notification.invalidateInode, invalidateInodeBody(services.numbered(handle.node), 0n, 0n));
  if (handle.after !== undefined) services.handles.directoryRead(number, from ?? ('' as ByteString), handle.cookie, handle.after);
  return buffer.take();
}

/** Whether nothing was told since `rest` was read. */
const isCurrent = ({remembered}: MountServices, {turn, listing, changes}: DirectoryHandle): boolean => turn === remembered.turn && changes === listing?.changes;

/** What comes next. What the store is asked for because of that is told as a change, like any other: the next time it is known. */
async function fetch(services: MountServices, handle: DirectoryHandle, path: ByteString, context: CallContext): Promise<void> {
  for (let round = 1; ; round++) {
    handle.turn = services.remembered.turn;
    handle.changes = handle.listing?.changes;
    const page = await services.files.list({directory: path, view: 'children', limit: entriesAtOnce, ...(handle.after === undefined ? {} : {after: handle.after})}, context);
    if (round < fetchRoundsMax && !isCurrent(services, handle)) continue;
    handle.rest = page.entries;
    handle.validUntil = page.validUntil ?? 0;
    handle.ended = page.next === undefined;
    return;
  }
}

/** Adds what fits; answers how many. */
function add(services: MountServices, handle: DirectoryHandle, buffer: DirentBuffer, plus: boolean): number {
  const {remembered} = services;
  let taken = 0;
  const validMs = remembered.listed(handle.validUntil, handle.turn);
  for (const entry of handle.rest) {
    assert('info' in entry, 'children are never folded');
    const {info, key} = entry;
    const {inode} = info;
    // Of a file with several names, the inode has the first.
    const name = shownName((key.endsWith('/') ? key.slice(0, -1) : key) as ByteString, inode.id, entry.shadowed === true);
    const cookie = cookieOf(inode, key);
    if (!buffer.add({node: services.numbered(inode.id), cookie, type: typeOf(inode), name}, plus ? attributesOf(info, services) : undefined, validMs)) break;
    if (plus) remembered.node(inode.id, 0);
    handle.cookie = cookie;
    handle.after = key;
    pass(handle, cookie, key);
    taken++;
  }
  return taken;
}

/** The kernel takes as much of an answer as its reader has room for, and comes back for the rest: what was last taken may be gone by then. */
function pass({passed}: DirectoryHandle, cookie: bigint, key: ByteString): void {
  passed.set(cookie, key);
  if (passed.size > passedMax) passed.delete(passed.keys().next().value!);
}

/** `.` and `..`; false when they did not both fit. */
async function addDots(services: MountServices, handle: DirectoryHandle, buffer: DirentBuffer, plus: boolean, context: CallContext): Promise<boolean> {
  const own = await infoOfNode(services, handle.node, context);
  const {id} = own.inode;
  // Above its root there is nothing on a mount.
  for (const [cookie, name, node] of [[dot, '.', id], [dotDot, '..', id === services.kept.root ? id : own.inode.parent]] as const) {
    if (handle.cookie >= cookie) continue;
    if (!buffer.add({node: services.numbered(node), cookie, type: direntType.directory, name: name as ByteString}, undefined, 0, plus)) return false;
    handle.cookie = cookie;
  }
  return true;
}

/**
 * Goes on behind the entry that the cookie names. One that is gone, and was passed too long ago, is answered as the end: its place is not known any more. In a handle of an
 * earlier daemon, what that one answered last is answered again.
 */
async function seek(services: MountServices, handle: DirectoryHandle, cookie: bigint, context: CallContext): Promise<void> {
  handle.rest = [];
  handle.ended = false;
  handle.after = undefined;
  handle.cookie = cookie;
  handle.validUntil = Infinity;
  if (cookie <= dotDot) return;
  handle.after = handle.passed.get(cookie);
  if (handle.after !== undefined) return;
  const path = await services.files.pathOf(inodeOfCookie(cookie), context).catch(() => undefined);
  if (path === undefined) {
    handle.after = handle.atLeast;
    handle.ended = handle.after === undefined;
  } else handle.after = path.slice(path.lastIndexOf('/', path.length - 2) + 1) as ByteString;
}
