/** Extended attributes within a record: names and bytes, in their own order. */
import type {BinaryReader, BinaryWriter} from '#codec/namespace/binary.ts';
import {setOwn} from '#codec/namespace/content.ts';

export function writeXattrs(out: BinaryWriter, xattrs: Readonly<Record<string, Uint8Array>>): void {
  const names = Object.keys(xattrs);
  out.number(names.length);
  for (const name of names) {
    out.text(name);
    out.bytes(xattrs[name]!);
  }
}

export function readXattrs(reader: BinaryReader): Record<string, Uint8Array> {
  const count = reader.number();
  const xattrs: Record<string, Uint8Array> = {};
  for (let i = 0; i < count; i++) {
    const name = reader.text();
    setOwn(xattrs, name, reader.bytes());
  }
  return xattrs;
}
