/** How what lies at a path is written: as the nearest directory above says by its setting, else its mount. */
import {peekInode} from '#codec/namespace/inode-record.ts';
import {settingKey} from '#codec/namespace/keys.ts';
import {childOf, inodeRecord, type Place, rootPlace} from '#master/namespace/place.ts';
import type {Reader} from '#metastore/metastore.ts';
import {parseWriteType, type WriteType, writeTypeSetting} from '#model/mount.ts';
import type {Path} from '#model/path.ts';

/** Undefined when no directory says anything. */
export function writeTypeSetAbove(reader: Reader, {names}: Path): WriteType | undefined {
  let found = settingOf(reader, rootPlace);
  let place: Place | undefined = rootPlace;
  for (let depth = 0; depth < names.length - 1; depth++) {
    place = childOf(reader, place, names[depth]!, 'directory');
    if (!place) break;
    found = settingOf(reader, place) ?? (place.mountPoint ? undefined : found);
  }
  return found;
}

function settingOf(reader: Reader, {id}: Place): WriteType | undefined {
  if (!peekInode(inodeRecord(reader, id)).hasSettings) return undefined;
  const value = reader.get(settingKey(id, writeTypeSetting));
  return value && parseWriteType(Buffer.from(value).toString('utf8'));
}
