/** Orphans: files that have lost their last name while somebody had them open. Their inode stays until the last holder lets go. */
import type {InodeId, MountId} from '#base/ids.ts';
import {BinaryReader, BinaryWriter} from '#codec/namespace/binary.ts';

export interface Orphan {
  readonly id: InodeId;
  readonly mount: MountId;
  /** Who had it open when it lost its name. */
  readonly holders: readonly string[];
  /** Something else has its content as well (an old version), and lets it go. */
  readonly shared: boolean;
}

const version = 1;
const sharedFlag = 1;
const out = new BinaryWriter();
const reader = new BinaryReader('orphan');

export function encodeOrphan({mount, holders, shared}: Orphan): Uint8Array {
  out.byte(version);
  out.byte(shared ? sharedFlag : 0);
  out.number(mount);
  out.number(holders.length);
  for (const holder of holders) out.text(holder);
  return out.take();
}

/** Throws Corrupt. */
export function decodeOrphan(id: InodeId, record: Uint8Array): Orphan {
  reader.open(record);
  const found = reader.byte();
  if (found !== version) throw reader.corrupt(`version ${found} is not known`);
  const flags = reader.byte();
  if (flags & ~sharedFlag) throw reader.corrupt(`unknown flags ${flags}`);
  const mount = reader.number() as MountId;
  const count = reader.number();
  const holders: string[] = [];
  for (let i = 0; i < count; i++) holders.push(reader.text());
  reader.end();
  return {id, mount, holders, shared: (flags & sharedFlag) !== 0};
}
