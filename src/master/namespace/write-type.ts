/** How what lies at a path is written: as the nearest directory above says by its setting, else its mount. */
import {peekInode} from '#codec/namespace/inode-record.ts';
import {settingKey} from '#codec/namespace/keys.ts';
import {childOf, inodeRecord, type Place, rootPlace} from '#master/namespace/place.ts';
import type {Reader} from '#metastore/metastore.ts';
import {parseWriteType, type WriteType, writeTypeSetting} from '#model/mount.ts';
import type {Path} from '#model/path.ts';

/** Undefined when no directory says anything. Recalled. */
export function writeTypeSetAbove(reader: Reader, {names}: Path): WriteType | undefined {
  const key = `write type of ${names.slice(0, -1).join('/')}/`;
  const known = reader.recall(key) as Said | undefined;
  if (known) return known.found;
  const found = setAbove(reader, names);
  reader.keep(key, {found} satisfies Said);
  return found;
}

interface Said {
  readonly found: WriteType | undefined;
}

function setAbove(reader: Reader, names: Path['names']): WriteType | undefined {
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
