/**
 * Keys to paths and back. Every component of a key is the name of the file, unless a file system cannot hold it. Such names are
 * escaped, reversibly, so that whoever looks at the directory without Weir still understands them:
 *
 *   (empty)                `.weir~e`
 *   `.` and `..`           `.weir~1`, `.weir~2`
 *   over 255 bytes         a chain of directories `.weir~+FIRST` / `.weir~+NEXT` / … / `.weir~-LAST`, pieces of up to 200 bytes
 *   beginning `.weir~`     `.weir~=` and the rest
 *   file `a` beside `a/`   `.weir~fa`, while the directory `a` exists (a shadowed file; `a` as it is, not escaped)
 *   bytes of the key `a/`  `.weir~d` in the directory `a`, where it has any
 *
 * Any other name that begins with `.weir~` is none of a key and is not shown. `.weir` at the top is Weir's own place, of
 * which keys name only what lies in `.weir/versions/`.
 */
import {type ByteString, fromText, toBytes, toText} from '#base/byte-string.ts';
import {WeirError} from '#base/errors.ts';
import type {DiskPath} from '#runtime/disk.ts';

const mark = '.weir~';
const nameBytesMax = 255;
const pieceBytes = 200;

/** The directory of Weir's own things at the root of a mount. */
export const ownDirectory = '.weir' as ByteString;
/** In it, where the master keeps old versions: a file each, by keys like any other; and a tree that is exchanged with another. */
const versionsDirectory = 'versions';
const treeOnItsWay = 'tree-';

/** The path of a key below the root, without a trailing slash; empty for the root. InvalidPath: NUL, a leading slash, Weir's own place. */
export function pathOfKey(key: ByteString): ByteString {
  if (key === '') return key;
  if (key.includes('\0')) throw new WeirError('InvalidPath', `a key cannot hold a NUL byte: ${JSON.stringify(toText(key))}`);
  const names = (key.endsWith('/') ? key.slice(0, -1) : key).split('/') as ByteString[];
  if (names[0] === ownDirectory && !(names[1] === versionsDirectory && (names.length === 3 || names[2]?.startsWith(treeOnItsWay)))) throw new WeirError('InvalidPath', `${ownDirectory}/ is Weir's own place, not a key`);
  return names.map(escapeName).join('/') as ByteString;
}

function escapeName(name: ByteString): string {
  if (name === '') return `${mark}e`;
  if (name === '.') return `${mark}1`;
  if (name === '..') return `${mark}2`;
  const escaped = name.startsWith(mark) ? `${mark}=${name.slice(mark.length)}` : name;
  if (escaped.length <= nameBytesMax) return escaped;
  const pieces: string[] = [];
  for (let at = 0; at < name.length; at += pieceBytes) pieces.push(name.slice(at, at + pieceBytes));
  return pieces.map((piece, i) => `${mark}${i === pieces.length - 1 ? '-' : '+'}${piece}`).join('/');
}

/** What a name found on disk stands for. `piece`: a directory that holds names beginning with `name`. Undefined: no part of a key. */
export function readName(onDisk: ByteString): {readonly name: ByteString; readonly form: 'plain' | 'shadowed' | 'piece' | 'last'} | undefined {
  if (!onDisk.startsWith(mark)) return {name: onDisk, form: 'plain'};
  const rest = onDisk.slice(mark.length + 1);
  const name = (text: string): ByteString => text as ByteString;
  switch (onDisk[mark.length]) {
    case 'e': return rest === '' ? {name: name(''), form: 'plain'} : undefined;
    case '1': return rest === '' ? {name: name('.'), form: 'plain'} : undefined;
    case '2': return rest === '' ? {name: name('..'), form: 'plain'} : undefined;
    case '=': return {name: name(mark + rest), form: 'plain'};
    case 'f': return {name: name(rest), form: 'shadowed'};
    case '+': return {name: name(rest), form: 'piece'};
    case '-': return {name: name(rest), form: 'last'};
    default: return undefined;
  }
}

/** Where the file of this path lies while a directory has its name; undefined when that name is too long for the escape. */
export function shadowOf(path: ByteString): ByteString | undefined {
  const slash = path.lastIndexOf('/');
  const read = readName(path.slice(slash + 1) as ByteString);
  if (read?.form !== 'plain' || read.name.length + mark.length + 1 > nameBytesMax) return undefined;
  return `${path.slice(0, slash + 1)}${mark}f${read.name}` as ByteString;
}

/** Where the bytes of a directory's own key lie; by the directory's path, relative or absolute. */
export function ownBytesOf(directory: ByteString): ByteString {
  return `${directory}/${mark}d` as ByteString;
}

/** The directory that a path lies in; `''` is the root's own. */
export function parentOf(path: ByteString): ByteString {
  return path.slice(0, Math.max(0, path.lastIndexOf('/'))) as ByteString;
}

/** A path for the disk: text where that is the same, else raw bytes. */
export function diskPath(bytes: ByteString): DiskPath {
  return fromText(bytes) === bytes ? bytes : toBytes(bytes);
}
