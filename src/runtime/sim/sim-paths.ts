/** Where paths lead on the simulated disk. */
import {type ByteString, fromBytes, fromText, toText} from '#base/byte-string.ts';
import {isKind, WeirError} from '#base/errors.ts';
import type {DiskPath} from '#runtime/disk.ts';
import type {SimDirectory, SimNode} from '#runtime/sim/platter.ts';

const nameBytesMax = 255;

/** Paths are text or bytes; names are bytes. */
export const bytesOf = (path: DiskPath): ByteString => (typeof path === 'string' ? fromText(path) : fromBytes(path));
export const shown = (path: DiskPath): string => toText(bytesOf(path));

export function missing(path: DiskPath): never {
  throw new WeirError('NotFound', `${shown(path)} does not exist`);
}

/** The names of an absolute path. InvalidPath, NameTooLong. */
export function split(path: DiskPath): string[] {
  const bytes = bytesOf(path);
  if (!bytes.startsWith('/')) throw new WeirError('InvalidPath', `${shown(path)} is not absolute`);
  const names: string[] = [];
  for (const name of bytes.split('/')) {
    if (name === '..') names.pop();
    else if (name !== '' && name !== '.') names.push(name);
    if (name.length > nameBytesMax) throw new WeirError('NameTooLong', `${shown(path)} has a name of ${name.length} bytes`);
  }
  return names;
}

export interface Place {
  readonly parent: SimDirectory;
  readonly name: string;
  readonly node: SimNode | undefined;
  readonly canonical: ByteString;
}

/** Undefined where nothing is. */
export function nodeAt(root: SimDirectory, path: DiskPath): SimNode | undefined {
  try {
    return locate(root, path).node;
  } catch (error) {
    if (isKind(error, 'NotFound', 'NotADirectory')) return undefined;
    throw error;
  }
}

/** Where a path leads; its parent must be there. The root is its own parent. */
export function locate(root: SimDirectory, path: DiskPath): Place {
  const names = split(path);
  const canonical = `/${names.join('/')}` as ByteString;
  const name = names.pop();
  let parent = root;
  for (const step of names) {
    const node = parent.seen.get(step) ?? missing(path);
    if (node.kind !== 'directory') throw new WeirError('NotADirectory', `${shown(path)} leads through a file`);
    parent = node;
  }
  return name === undefined ? {parent: root, name: '', node: root, canonical} : {parent, name, node: parent.seen.get(name), canonical};
}
