/** Mount records. They hold the connector's options as given, secrets among them. */
import type {MountId} from '#base/ids.ts';
import {BinaryReader, BinaryWriter} from '#codec/namespace/binary.ts';
import {readTexts, writeTexts} from '#codec/namespace/content.ts';
import {type Freshness, type Mount, writeTypes} from '#model/mount.ts';

const version = 1;
const readOnlyFlag = 1;
/** Numbers are stored: append only. */
const freshnessKinds = ['immutable', 'always', 'maxAge'] as const;

const out = new BinaryWriter();
const reader = new BinaryReader('mount');

export function encodeMount(mount: Mount): Uint8Array {
  out.byte(version);
  out.number(mount.id);
  out.byteString(mount.path);
  out.text(mount.uri);
  writeTexts(out, mount.options);
  out.byte(mount.readOnly ? readOnlyFlag : 0);
  out.byte(freshnessKinds.indexOf(mount.freshness.kind));
  if (mount.freshness.kind === 'maxAge') out.number(mount.freshness.ms);
  out.byte(writeTypes.indexOf(mount.writeType));
  out.number(mount.createdAt);
  return out.take();
}

/** Throws Corrupt. */
export function decodeMount(record: Uint8Array): Mount {
  reader.open(record);
  const found = reader.byte();
  if (found !== version) throw reader.corrupt(`version ${found} is not known`);
  const id = reader.number() as MountId;
  const path = reader.byteString();
  const uri = reader.text();
  const options = readTexts(reader);
  const readOnly = reader.byte() === readOnlyFlag;
  const freshness = readFreshness();
  const writeType = writeTypes[reader.byte()];
  if (writeType === undefined) throw reader.corrupt('unknown write type');
  const createdAt = reader.number();
  reader.end();
  return {id, path, uri, options, readOnly, freshness, writeType, createdAt};
}

function readFreshness(): Freshness {
  const kind = freshnessKinds[reader.byte()];
  if (kind === undefined) throw reader.corrupt('unknown freshness');
  return kind === 'maxAge' ? {kind, ms: reader.number()} : {kind};
}
