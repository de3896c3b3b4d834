/**
 * A thread that serves S3 connections. Reads of what is known and cached it answers by itself (frontends/s3/reader.ts); a connection whose request is
 * anything else goes back to the main thread with it. TLS connections cannot: for them there is the whole front end, over a client whose master and
 * worker are in the main thread. What has to be one for the instance (namespace, block index, leases, uploads that are being completed, the audit log)
 * stays there; the directory of identities follows the main one.
 */
import {recordBytesMax} from '#runtime/node/threads/byte-ring.ts';
import {FileSystemClient} from '#client/file-system-client.ts';
import type {FoundAhead} from '#client/file-system.ts';
import {masterWire, workerWire} from '#contracts/wire.ts';
import type {RecordAudit} from '#frontends/s3/audit.ts';
import {s3Reader} from '#frontends/s3/reader.ts';
import {s3Handler} from '#frontends/s3/server.ts';
import {followedDirectory} from '#master/identity/followed-directory.ts';
import {decodeAnswer, encodeQuestion} from '#process/serving/read-questions.ts';
import {type ServingData, type ServingFeed, togetherWire} from '#process/serving/serving-data.ts';
import {callsOver} from '#rpc/between-threads.ts';
import type {HttpExchange} from '#runtime/http.ts';
import {nodeClock} from '#runtime/node/node-clock.ts';
import {nodeRandom} from '#runtime/node/node-random.ts';
import {ServedSockets} from '#runtime/node/http/served-sockets.ts';
import {LeaseBorrower, type LentLease} from '#runtime/node/threads/leases.ts';
import {LineConnection} from '#runtime/node/threads/line-connection.ts';
import {FeedFollower} from '#runtime/node/threads/shared-feed.ts';
import {threadSide} from '#runtime/node/threads/thread-side.ts';
import {recordKinds} from '#runtime/node/threads/thread-words.ts';

const asked = new Map<number, (found: FoundAhead) => void>();
const scratch = Buffer.allocUnsafeSlow(recordBytesMax);
let lastQuestion = 0;

const side = threadSide(({kind, id, payload}) => {
  if (kind === recordKinds.calls) connection.receive(payload);
  else if (kind === recordKinds.answer) {
    const answered = asked.get(id);
    asked.delete(id);
    answered?.(decodeAnswer(payload, borrow));
  } else borrower.receive(kind, id, payload);
});
const {line, log, metrics} = side;
const {identity, feed, tls, baseDomains, audit} = side.data as ServingData;
const borrower = new LeaseBorrower(line);
const borrow = (lent: LentLease) => borrower.borrow(lent);
const connection = new LineConnection(line, recordKinds.calls);
const calls = callsOver(connection, (lent) => borrow(lent as LentLease));
const files = new FileSystemClient({
  master: calls.stub('master', masterWire),
  worker: calls.stub('worker', workerWire),
  elsewhere: {
    together: calls.stub('together', togetherWire),
    findAhead: (bucket, path, range) =>
      new Promise((resolve) => {
        lastQuestion = (lastQuestion + 1) & 0x7fff_ffff;
        asked.set(lastQuestion, resolve);
        line.send(recordKinds.question, lastQuestion, encodeQuestion({bucket, path, range}, scratch));
      }),
  },
});
const follower: ServingFeed = new FeedFollower(feed);
const directory = followedDirectory(identity, () => follower.take(), nodeRandom);
const options = {files, baseDomains, identity: directory, runtime: {clock: nodeClock(), random: nodeRandom, log, metrics}};
const readNow = s3Reader(options);
const answerAll = s3Handler({...options, ...(audit ? {audit: (entry: Parameters<RecordAudit>[0]) => side.say(entry)} : {})});
const handler = async (exchange: HttpExchange): Promise<void> => {
  if (!(await readNow(exchange)) && !exchange.handOn?.()) await answerAll(exchange);
};
side.serve(new ServedSockets(tls ? {tls} : {}, handler, log));
