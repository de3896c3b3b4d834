/** Mount records. They hold the connector's options as given, secrets among them. */
import type {MountId} from '#base/ids.ts';
import {BinaryReader, BinaryWriter} from '#codec/namespace/binary.ts';
import {readTexts, writeTexts} from '#codec/namespace/content.ts';
import {defaultWriteType, type Freshness, type Mount, writeTypes} from '#model/mount.ts';

/** In version 1 every mount had a write type, which nobody need have chosen. */
const firstVersion = 1;
const version = 2;
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
  out.byte(mount.writeType === undefined ? 0 : writeTypes.indexOf(mount.writeType) + 1);
  out.number(mount.createdAt);
  return out.take();
}

/** Throws Corrupt. */
export function decodeMount(record: Uint8Array): Mount {
  reader.open(record);
  const found = reader.byte();
  if (found !== version && found !== firstVersion) throw reader.corrupt(`version ${found} is not known`);
  const id = reader.number() as MountId;
  const path = reader.byteString();
  const uri = reader.text();
  const options = readTexts(reader);
  const readOnly = reader.byte() === readOnlyFlag;
  const freshness = readFreshness();
  const number = reader.byte() + (found === firstVersion ? 1 : 0);
  const writeType = number === 0 ? undefined : writeTypes[number - 1];
  if (number !== 0 && writeType === undefined) throw reader.corrupt('unknown write type');
  const createdAt = reader.number();
  reader.end();
  const chosen = writeType === undefined || (found === firstVersion && writeType === defaultWriteType) ? {} : {writeType};
  return {id, path, uri, options, readOnly, freshness, ...chosen, createdAt};
}

function readFreshness(): Freshness {
  const kind = freshnessKinds[reader.byte()];
  if (kind === undefined) throw reader.corrupt('unknown freshness');
  return kind === 'maxAge' ? {kind, ms: reader.number()} : {kind};
}
