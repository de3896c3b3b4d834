/** What the state of a backup claims, and cannot know: the stores and the cache have gone on since. */
import {writtenKey} from '#codec/namespace/keys.ts';
import {listMounts} from '#master/namespace/mounts.ts';
import {listKeptUploads, removeUpload} from '#master/namespace/uploads.ts';
import type {Transaction} from '#metastore/metastore.ts';

const noValue = new Uint8Array(0);

/** All is asked anew, also what is never asked again (`immutable`), as after a crash. Uploads have ended whose parts the cache had. */
export function settleRestored(tx: Transaction): void {
  for (const {id} of listMounts(tx)) tx.put(writtenKey(id), noValue);
  for (const {path, uploadId} of listKeptUploads(tx)) removeUpload(tx, path, uploadId);
}
