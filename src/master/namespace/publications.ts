/** Contents that stores were about to get in the place of what they have, by files that stay the same. One a file: its key's turn is whose it is. */
import type {InodeId} from '#base/ids.ts';
import {decodePublication, encodePublication, type Publication} from '#codec/namespace/intent-record.ts';
import {idOfKey, publicationKey, publicationTable} from '#codec/namespace/keys.ts';
import type {Reader, Transaction} from '#metastore/metastore.ts';

export function notePublication(tx: Transaction, publication: Publication): void {
  tx.put(publicationKey(publication.id), encodePublication(publication));
}

export function listPublications(reader: Reader): Publication[] {
  return Array.from(reader.range(publicationTable), ({key, value}) => decodePublication(idOfKey(key) as InodeId, value));
}

/** The namespace shows it, or it was given up. */
export function forgetPublication(tx: Transaction, id: InodeId): void {
  tx.delete(publicationKey(id));
}
