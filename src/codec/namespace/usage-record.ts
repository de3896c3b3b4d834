/** Usage records: what a mount holds, and, in the same form, the next free id. */
import {BinaryReader, BinaryWriter} from '#codec/namespace/binary.ts';

export interface Usage {
  readonly files: number;
  readonly directories: number;
  readonly bytes: number;
}

const version = 1;
const out = new BinaryWriter();
const usageReader = new BinaryReader('usage');
const idReader = new BinaryReader('next id');

export function encodeUsage(usage: Usage): Uint8Array {
  out.byte(version);
  out.number(usage.files);
  out.number(usage.directories);
  out.number(usage.bytes);
  return out.take();
}

/** Throws Corrupt. */
export function decodeUsage(record: Uint8Array): Usage {
  usageReader.open(record);
  const found = usageReader.byte();
  if (found !== version) throw usageReader.corrupt(`version ${found} is not known`);
  const usage = {files: usageReader.number(), directories: usageReader.number(), bytes: usageReader.number()};
  usageReader.end();
  return usage;
}

export function encodeNextId(id: number): Uint8Array {
  out.byte(version);
  out.number(id);
  return out.take();
}

/** Throws Corrupt. */
export function decodeNextId(record: Uint8Array): number {
  idReader.open(record);
  const found = idReader.byte();
  if (found !== version) throw idReader.corrupt(`version ${found} is not known`);
  const id = idReader.number();
  idReader.end();
  return id;
}
