/**
 * Names as a file system shows them. Names of the namespace are any bytes up to 1024, also `.`, `..` and none at all, and a file `a` may
 * stand beside a directory `a/`: what cannot be said that way in a directory of files is shown under another name, which leads back.
 *
 *   @weir:empty  @weir:dot  @weir:dotdot      the names "", "." and ".."
 *   @weir:file:NAME                           the file NAME beside a directory NAME
 *   @weir:name:NAME                           a name that begins with @weir: itself
 *   @weir:id:NUMBER                           what is longer than 255 bytes: by its inode
 */
import type {ByteString} from '#base/byte-string.ts';
import type {InodeId} from '#base/ids.ts';
import type {PathKind} from '#model/path.ts';

export const fileNameBytesMax = 255;
const mark = '@weir:';
const special: Readonly<Record<string, string>> = {'': `${mark}empty`, '.': `${mark}dot`, '..': `${mark}dotdot`};
const plain: ReadonlyMap<string, string> = new Map(Object.entries(special).map(([name, shown]) => [shown, name]));

/** `shadowed`: a file beside a directory of its name. */
export function shownName(name: ByteString, id: InodeId, shadowed: boolean): ByteString {
  const shown = shadowed ? `${mark}file:${name}` : (special[name] ?? (name.startsWith(mark) ? `${mark}name:${name}` : name));
  return (shown.length <= fileNameBytesMax ? shown : `${mark}id:${id}`) as ByteString;
}

/** What a shown name asks for: a name and its kind, or an inode. Undefined for one that is never shown. */
export type Meant = {readonly name: ByteString; readonly kind: PathKind} | {readonly id: InodeId};

export function meantName(shown: ByteString): Meant | undefined {
  if (!shown.startsWith(mark)) return {name: shown, kind: 'either'};
  const known = plain.get(shown);
  if (known !== undefined) return {name: known as ByteString, kind: 'either'};
  const rest = shown.slice(mark.length);
  if (rest.startsWith('file:')) return {name: rest.slice(5) as ByteString, kind: 'file'};
  if (rest.startsWith(`name:${mark}`)) return {name: rest.slice(5) as ByteString, kind: 'either'};
  const id = /^id:([1-9][0-9]{0,15})$/.exec(rest);
  return id ? {id: Number(id[1]) as InodeId} : undefined;
}
