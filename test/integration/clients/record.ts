/**
 * Records what stock clients send, for the fuzzer: `node --conditions=source test/integration/clients/record.ts [NAME …]` writes
 * test/fixtures/s3-requests/ anew (or the named clients' part of it, with the key of before). Its README has the format.
 */
import {createHash} from 'node:crypto';
import {mkdir, mkdtemp, rm, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {Weir} from '../harness.ts';
import {clients} from './clients.ts';
import type {Session} from './client.ts';
import {largeText} from './large.ts';
import {rawFetch} from './raw-fetch.ts';
import {type RecordedRequest, startRecorder} from './recorder.ts';

const folder = path.resolve(import.meta.dirname, '../../fixtures/s3-requests');

/** Names enough to see each kind of escape. */
const key = 'folder/a+b &c=ü%2F🦆 \'"#?.txt';

/** Every operation that the client has, once or twice. */
async function exercise(session: Session, bucket: string, scratch: string): Promise<void> {
  const [small, large, out] = ['small', 'large', 'out'].map(name => path.join(scratch, name)) as [string, string, string];
  await writeFile(small, 'a few bytes\n');
  await writeFile(large, largeText());
  const attempt = async (done: Promise<unknown> | undefined): Promise<void> => {
    await done?.catch(() => undefined); // a name that it cannot say; what it sent is recorded all the same
  };
  await session.put('plain.txt', small);
  await attempt(session.put(key, small));
  await session.get(bucket, 'plain.txt', out);
  await attempt(session.get(bucket, key, out));
  await attempt(session.get(bucket, 'absent', out));
  await session.putLarge('large', large);
  await session.get(bucket, 'large', out);
  await session.list(bucket);
  await session.copy?.('plain.txt', 'copied');
  await attempt(session.copy?.(key, `${key} copied`));
  await attempt(session.copy?.('large', 'large copied'));
  for (const name of ['plain.txt', key]) {
    await attempt(session.presignGet?.(name).then(url => rawFetch('GET', url)));
    await attempt(session.presignPut?.(name).then(url => rawFetch('PUT', url, 'by a presigned URL')));
  }
  await session.putTable?.('table');
  await session.countTable?.('table');
  await session.remove?.('copied');
  await session.removeMany?.(['plain.txt', 'large']);
}

/** Which kernel it was is nobody's business, and no client signs it. */
const withoutKernel = (request: RecordedRequest): RecordedRequest => ({...request, head: request.head.replaceAll(/(linux[#/-])\d[^\s;)]*/gi, '$16.1')});

/** Requests of one shape differ in values only: the shortest stands for them. */
function shapeOf({head, body}: RecordedRequest): string {
  const [first = '', ...lines] = head.split('\r\n');
  const [method = '', target = ''] = first.split(' ');
  const [where = '', query = ''] = target.split('?');
  const names = (text: string): string[] => text.split('&').map(pair => pair.replace(/=.*/, '')).sort();
  const kind = where.split('/').length > 2 && !where.endsWith('/') ? (where.includes('%') ? 'escaped key' : 'key') : 'bucket';
  const headers = lines.map(line => line.slice(0, line.indexOf(':')).toLowerCase()).sort();
  return JSON.stringify([method, kind, names(query), headers, /x-amz-content-sha256: *(STREAMING\S*|UNSIGNED\S*)/i.exec(head)?.[1] ?? '', body.length > 0]);
}

function fileName({head, body}: RecordedRequest): string {
  const [method = '', target = ''] = head.split(' ');
  const [where = '', query = ''] = target.split('?');
  const names = query.split('&').map(pair => pair.replace(/=.*/, '')).filter(name => /^[a-z-]{4,}$/i.test(name) && !/^x-amz|^x-id|encoding-type/i.test(name));
  const what = [method, where.split('/').length > 2 ? 'key' : 'bucket', ...new Set(names)];
  return `${what.join('-').toLowerCase()}.${createHash('sha256').update(head).update(body).digest('hex').slice(0, 6)}.http`;
}

const named = process.argv.slice(2);
const chosen = clients.filter(({name}) => named.length === 0 || named.includes(name));
const scratch = await mkdtemp(path.join(tmpdir(), 'weir-record-'));
const weir = await Weir.start({args: []});
try {
  const {accessKeyId, secretAccessKey} = weir.ready;
  for (const client of chosen) {
    await using recorder = await startRecorder(weir.ready.s3);
    const own = path.join(scratch, client.name);
    await mkdir(own);
    await weir.s3.must('PUT', `/${client.name}`);
    const session = await client.start({endpoint: recorder.endpoint, accessKeyId, secretAccessKey, bucket: client.name, scratch: own});
    if (!session) continue;
    await exercise(session, client.name, own).finally(() => session[Symbol.asyncDispose]());
    const shortest = new Map<string, RecordedRequest>();
    for (const request of recorder.requests.map(withoutKernel)) {
      const shape = shapeOf(request);
      const known = shortest.get(shape);
      if (!request.cut && (!known || request.body.length < known.body.length)) shortest.set(shape, request);
    }
    const target = path.join(folder, client.name);
    await rm(target, {recursive: true, force: true});
    await mkdir(target, {recursive: true});
    await writeFile(path.join(target, 'key.json'), `${JSON.stringify({accessKeyId, secretAccessKey})}\n`);
    for (const request of shortest.values()) await writeFile(path.join(target, fileName(request)), Buffer.concat([Buffer.from(request.head, 'latin1'), request.body]));
    const bytes = [...shortest.values()].reduce((sum, {head, body}) => sum + head.length + body.length, 0);
    process.stdout.write(`${client.name}: ${shortest.size} shapes of ${recorder.requests.length} requests, ${bytes} bytes\n`);
  }
} finally {
  await weir[Symbol.asyncDispose]();
  await rm(scratch, {recursive: true, force: true});
}
