/**
 * Special files: names for what programs of one machine share (fifos, sockets) and for devices. Only the namespace has them; a store never does.
 * What an inode of kind `special` is stands in its `target`: `p`, `s`, or `c` or `b` with the device's number in decimal.
 */
import type {ByteString} from '#base/byte-string.ts';
import {WeirError} from '#base/errors.ts';

export interface SpecialFile {
  readonly type: 'fifo' | 'socket' | 'character' | 'block';
  /** As the kernel numbers devices, 32 bits; 0 for fifos and sockets. */
  readonly device: number;
}

const letters = {fifo: 'p', socket: 's', character: 'c', block: 'b'} as const;
const types = new Map(Object.entries(letters).map(([type, letter]) => [letter as string, type as SpecialFile['type']]));

export function formatSpecial({type, device}: SpecialFile): ByteString {
  return (type === 'fifo' || type === 'socket' ? letters[type] : `${letters[type]}${device}`) as ByteString;
}

/** Throws Corrupt. */
export function parseSpecial(target: ByteString | undefined): SpecialFile {
  const [, letter = '', number = ''] = /^([ps]|[bc](?=\d))(\d{0,10})$/.exec(target ?? '') ?? [];
  const type = types.get(letter);
  if (!type) throw new WeirError('Corrupt', 'an unknown kind of special file');
  return {type, device: Number(number)};
}
