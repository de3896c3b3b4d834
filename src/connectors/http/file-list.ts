/** An explicit list of files, for servers without index pages. */
import {type ByteString, fromText} from '#base/byte-string.ts';
import {WeirError} from '#base/errors.ts';

/** One path a line; empty lines and those that begin with `#` are none. Keys in byte order. InvalidArgument: not relative, or with `.`, `..` or empty names. */
export function readFileList(lines: readonly string[]): ByteString[] {
  const keys = new Set<ByteString>();
  for (const line of lines) {
    const path = line.replace(/\r$/, '');
    if (path.trim() === '' || path.startsWith('#')) continue;
    const key = fromText(path);
    const isPath = !key.includes('\0') && key.split('/').every(name => name !== '' && name !== '.' && name !== '..');
    if (!isPath) throw new WeirError('InvalidArgument', `not a relative path in the list of files: ${JSON.stringify(path.slice(0, 200))}`);
    keys.add(key);
  }
  return [...keys].sort();
}
