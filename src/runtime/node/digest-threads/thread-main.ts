/** A digest thread: takes records from its ring, blocked while there are none, and posts what it has computed. */
import {parentPort, workerData} from 'node:worker_threads';
import {Digester} from '#model/digests.ts';
import type {ChecksumAlgorithm} from '#model/content.ts';
import {RingReader} from '#runtime/node/threads/byte-ring.ts';
import {Task, type ThreadAnswer} from '#runtime/node/digest-threads/task.ts';

const ring = new RingReader(workerData as SharedArrayBuffer);
const work = new Map<number, Digester>();
const answer = (said: ThreadAnswer): void => parentPort?.postMessage(said);

for (;;) {
  const {kind, id, payload} = ring.next();
  try {
    if (kind === Task.begin || kind === Task.beginWithoutMd5) work.set(id, await Digester.start(payload.toString().split(' ').filter(Boolean) as ChecksumAlgorithm[], {md5: kind === Task.begin}));
    else if (kind === Task.update) work.get(id)?.update(payload);
    else {
      const digester = work.get(id);
      work.delete(id);
      if (digester && kind === Task.finish) answer({id, ...digester.finish()});
    }
  } catch (error) {
    work.delete(id);
    answer({id, failure: error instanceof Error ? error.message : String(error)});
  }
}
