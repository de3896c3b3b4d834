/** The main thread's side of the threads that serve S3 connections: answers their questions from the one master and worker. */
import type {FileSystemClient} from '#client/file-system-client.ts';
import type {FoundAhead, RangeSpec} from '#client/file-system.ts';
import {discard} from '#client/opened-file.ts';
import type {ByteString} from '#base/byte-string.ts';
import {type Principal, systemContext} from '#contracts/context.ts';
import type {MasterApi} from '#contracts/master-api.ts';
import {masterWire, workerWire} from '#contracts/wire.ts';
import type {WorkerApi} from '#contracts/worker-api.ts';
import type {RecordAudit} from '#frontends/s3/audit.ts';
import type {Change} from '#master/identity/identity-state.ts';
import type {Identity} from '#master/identity/identity.ts';
import {decodeQuestion, encodeAnswer} from '#process/serving/read-questions.ts';
import {type ServingData, togetherWire} from '#process/serving/serving-data.ts';
import {serveOver} from '#rpc/between-threads.ts';
import {rpcService} from '#rpc/served-calls.ts';
import {WeirError} from '#base/errors.ts';
import {recordBytesMax} from '#runtime/node/threads/byte-ring.ts';
import {LeaseLender} from '#runtime/node/threads/leases.ts';
import {LineConnection} from '#runtime/node/threads/line-connection.ts';
import type {ThreadServices} from '#runtime/node/threads/serving-thread.ts';
import {ServingThreads} from '#runtime/node/threads/serving-threads.ts';
import {FeedPublisher} from '#runtime/node/threads/shared-feed.ts';
import type {ThreadLine} from '#runtime/node/threads/thread-line.ts';
import {recordKinds} from '#runtime/node/threads/thread-words.ts';
import type {Runtime} from '#runtime/runtime.ts';

export interface ServingOptions {
  readonly runtime: Runtime;
  readonly master: MasterApi;
  readonly worker: WorkerApi;
  /** With master and worker in this thread. */
  readonly files: FileSystemClient;
  readonly identity: Identity;
  readonly audit?: RecordAudit;
  readonly baseDomains: readonly string[];
  readonly tls?: {readonly key: string; readonly cert: string};
  /** So many, whatever the load; 0: none. Absent: by load. */
  readonly fixed?: number;
}

/** Whoever asks was admitted by policies, or will not see the answer. */
const admitted: Principal = {name: 's3', uid: 65_534, gids: [], authorized: true};
const scratch = Buffer.allocUnsafeSlow(recordBytesMax);

export function servingThreads(options: ServingOptions): ServingThreads {
  const {runtime: {log, metrics}, fixed} = options;
  return new ServingThreads({entry: '#process/serving/thread-main.ts', log, metrics, ...(fixed === undefined ? {} : {fixed}), services: (line) => servicesFor(line, options)});
}

function servicesFor(line: ThreadLine, {runtime: {log}, master, worker, files, identity, audit, baseDomains, tls}: ServingOptions): ThreadServices {
  const lender = new LeaseLender(line);
  const connection = new LineConnection(line, recordKinds.calls);
  const services = [rpcService('master', masterWire, master), rpcService('worker', workerWire, worker), rpcService('together', togetherWire, files)];
  const channel = serveOver(connection, {services, log, lend: (lease) => lender.lend(lease)});
  const feed = new FeedPublisher<readonly Change[]>();
  const following = identity.follow((changes) => feed.publish(changes));
  const data: ServingData = {identity: following.beginning, feed: feed.end, baseDomains, audit: audit !== undefined, ...(tls ? {tls} : {})};

  const answer = (id: number, payload: Buffer): void => {
    const {bucket, path, range} = decodeQuestion(payload);
    const found = foundNow(files, bucket, path, range);
    let encoded = encodeAnswer(found, (lease) => lender.lend(lease), scratch);
    if (!encoded) {
      if (found.opened) discard(found.opened.body);
      encoded = encodeAnswer({...found, info: undefined, opened: undefined}, (lease) => lender.lend(lease), scratch)!;
    }
    line.send(recordKinds.answer, id, encoded);
  };

  return {
    data,
    transfer: [feed.end.port],
    receive: ({kind, id, payload}) => {
      if (kind === recordKinds.calls) connection.receive(payload);
      else if (kind === recordKinds.question) answer(id, payload);
      else lender.receive(kind, id);
    },
    heard: (said) => audit?.(said as Parameters<RecordAudit>[0]),
    ended: () => {
      following[Symbol.dispose]();
      feed[Symbol.dispose]();
      channel.destroy(new WeirError('Cancelled', 'the thread that asked has ended'));
      lender[Symbol.dispose]();
    },
  };
}

/** What fails on the spot fails again where it is asked the ordinary way, and is explained there. */
function foundNow(files: FileSystemClient, bucket: ByteString, path: ByteString, range: RangeSpec | undefined): FoundAhead {
  const found: FoundAhead = {bucket: undefined, info: undefined, opened: undefined};
  try {
    const facts = files.statNow(bucket, {kind: 'directory'}, systemContext)?.inode;
    if (!facts) return found;
    return range ? {...found, bucket: facts, opened: files.openNow(path, range, {principal: admitted})} : {...found, bucket: facts, info: files.statNow(path, {kind: 'file'}, {principal: admitted})};
  } catch {
    return found;
  }
}
