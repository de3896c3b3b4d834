/** Threads that serve S3 connections: they answer what the main thread would, at the moment it would, and it is counted and written down once. */
import assert from 'node:assert/strict';
import {createHash, randomBytes} from 'node:crypto';
import {once} from 'node:events';
import {readFile} from 'node:fs/promises';
import http from 'node:http';
import path from 'node:path';
import {describe, it} from 'node:test';
import {Weir} from './harness.ts';
import {S3Client} from './s3-client.ts';

const mib = 2 ** 20;
/** The first half of a request id says which handler answered, and each thread has its own. */
const handlerOf = ({headers}: {readonly headers: http.IncomingHttpHeaders}): string => String(headers['x-amz-request-id']).slice(0, 8);

describe('threads that serve S3 connections', {timeout: 180_000}, () => {
  it('answer reads as the main thread would, and leave everything else to it', async () => {
    await using weir = await Weir.start({args: ['--threads', '2', '--write-type', 'ASYNC_THROUGH']});
    const root = {endpoint: weir.ready.s3, accessKeyId: weir.ready.accessKeyId, secretAccessKey: weir.ready.secretAccessKey};
    const main = handlerOf(await weir.s3.must('PUT', '/threads'));
    let requests = 1;
    const ask = async (s3: S3Client, ...what: Parameters<S3Client['request']>) => {
      requests++;
      return await s3.request(...what);
    };
    /** One connection, which a thread serves as long as it only reads and the others are no less busy. */
    const inThread = async (access = root): Promise<S3Client> => {
      for (;;) {
        const s3 = new S3Client(access);
        if (handlerOf(await ask(s3, 'GET', '/threads/small')) !== main) return s3;
      }
    };

    const small = randomBytes(5000);
    const large = randomBytes(9 * mib + 1);
    assert.equal((await ask(weir.s3, 'PUT', '/threads/small', {body: small, headers: {'x-amz-meta-colour': 'grün', 'content-type': 'text/plain'}})).status, 200);
    assert.equal((await ask(weir.s3, 'PUT', '/threads/large', {body: large})).status, 200);

    let reader = await inThread();
    /** Asked again where the connection has moved meanwhile. */
    const askThread = async (...what: Parameters<S3Client['request']>) => {
      for (;;) {
        const answer = await ask(reader, ...what);
        if (handlerOf(answer) !== main) return answer;
        reader = await inThread();
      }
    };
    const wholes = [['GET', 'small'], ['HEAD', 'small'], ['GET', 'large']] as const;
    const ranges = [['GET', 'small', {range: 'bytes=-7'}], ['GET', 'large', {range: 'bytes=1000000-8999999'}], ['HEAD', 'large', {range: 'bytes=5-'}]] as const;
    for (const [method, target, headers = {}] of [...wholes, ...ranges]) {
      const [here, there] = [await ask(weir.s3, method, `/threads/${target}`, {headers}), await askThread(method, `/threads/${target}`, {headers})];
      // What differs from one answer to the next anyway; the store may get the object in between.
      const passing = ['date', 'x-amz-request-id', 'x-amz-id-2', 'x-weir-persist'];
      const [sameHere, sameThere] = [here, there].map((answer) => Object.entries(answer.headers).filter(([header]) => !passing.includes(header)));
      assert.deepEqual([there.status, sameThere], [here.status, sameHere], `${method} ${target}`);
      assert.ok(there.body.equals(here.body), `${method} ${target}`);
    }

    // What is not theirs: refusals, conditions, listings, changes; then reads again, of what was just changed.
    assert.deepEqual([(await ask(reader, 'GET', '/threads/none')).code, (await ask(await inThread(), 'GET', '/nowhere/none')).code], ['NoSuchKey', 'NoSuchBucket']);
    const etag = `"${createHash('md5').update(small).digest('hex')}"`;
    assert.equal((await ask(await inThread(), 'GET', '/threads/small', {headers: {'if-none-match': etag}})).status, 304);
    assert.match((await ask(await inThread(), 'GET', '/threads', {query: 'list-type=2'})).body.toString(), /<KeyCount>2</);
    for (let i = 0; i < 20; i++) {
      const [one, other] = [await inThread(), await inThread()];
      const body = randomBytes(1 + i * 7000);
      assert.equal((await ask(one, 'PUT', '/threads/changed', {body})).status, 200);
      const read = await ask(other, 'GET', '/threads/changed');
      assert.ok(read.body.equals(body), `change ${i}`);
    }
    const gone = await inThread();
    assert.equal((await ask(gone, 'DELETE', '/threads/changed')).status, 204);
    assert.equal((await ask(await inThread(), 'GET', '/threads/changed')).code, 'NoSuchKey');

    const metrics = await (await fetch(`${weir.ready.http}/metrics`)).text();
    assert.equal(Number(/^weir_s3_requests_total (\d+)$/m.exec(metrics)?.[1]), requests);
    assert.match(metrics, /^weir_serving_threads 2$/m);
    const audit = (await readFile(path.join(weir.home, 'log/audit.log'), 'utf8')).trim().split('\n').map((line) => JSON.parse(line) as {method: string; key?: string});
    assert.deepEqual(['PUT', 'DELETE', 'GET'].map((method) => audit.filter((line) => line.method === method && line.key === 'changed').length), [20, 1, 0]);
  });

  it('know a key, a policy and a bucket\'s rules no longer than the main thread does', async () => {
    await using weir = await Weir.start({args: ['--threads', '1']});
    const main = handlerOf(await weir.s3.must('PUT', '/rules'));
    await weir.s3.put('rules', 'object', 'mine');
    const endpoint = weir.ready.s3;
    const allow = {Version: '2012-10-17', Statement: [{Effect: 'Allow', Action: 's3:GetObject', Resource: 'arn:aws:s3:::rules/*'}]};
    await weir.rest('PUT', 'policies', {name: 'readers', document: allow});
    const read = async (s3: S3Client) => await s3.request('GET', '/rules/object');
    const newReader = async (name: string): Promise<{readonly s3: S3Client; readonly id: string}> => {
      const key = await weir.rest<{accessKeyId: string; secretAccessKey: string}>('POST', 'keys', {user: name});
      for (;;) {
        const s3 = new S3Client({endpoint, ...key});
        const first = await read(s3);
        assert.equal(first.status, 200);
        if (handlerOf(first) !== main) return {s3, id: key.accessKeyId};
      }
    };
    for (let i = 0; i < 10; i++) {
      await weir.rest('POST', 'users', {name: `user${i}`, policies: ['readers']});
      const {s3, id} = await newReader(`user${i}`);
      const refused = ['InvalidAccessKeyId', 'AccessDenied'];
      if (i % 3 === 0) await weir.rest('DELETE', `keys?id=${id}`);
      else if (i % 3 === 1) await weir.rest('PATCH', `users?name=user${i}`, {active: false});
      else await weir.rest('POST', 'attachments', {policy: 'readers', user: `user${i}`, attached: false});
      const after = await read(s3);
      assert.deepEqual([after.status, after.code], [403, refused[i % 3 === 2 ? 1 : 0]], `round ${i}`);
    }

    await weir.rest('POST', 'users', {name: 'reader', policies: ['readers']});
    for (let i = 0; i < 3; i++) {
      const {s3} = await newReader('reader');
      const deny = {Version: '2012-10-17', Statement: [{Effect: 'Deny', Principal: '*', Action: 's3:GetObject', Resource: 'arn:aws:s3:::rules/*'}]};
      await weir.s3.must('PUT', '/rules', {query: 'policy', body: JSON.stringify(deny)});
      assert.deepEqual((await read(s3)).code, 'AccessDenied');
      // A policy that is there and denies nothing of this: the thread goes by it itself.
      const other = {...deny, Statement: [{...deny.Statement[0], Resource: 'arn:aws:s3:::rules/other'}]};
      await weir.s3.must('PUT', '/rules', {query: 'policy', body: JSON.stringify(other)});
      await newReader('reader');
      await weir.s3.must('DELETE', '/rules', {query: 'policy'});
    }
  });

  it('answer what is under way when the instance stops, and nobody waits for those who left', async () => {
    await using weir = await Weir.start({args: ['--threads', '1', '--write-type', 'ASYNC_THROUGH']});
    const main = handlerOf(await weir.s3.must('PUT', '/stop'));
    const large = randomBytes(24 * mib);
    await weir.s3.put('stop', 'large', large);
    const {hostname, port} = new URL(weir.ready.s3);
    const begin = async (): Promise<http.IncomingMessage> => {
      for (;;) {
        const request = http.get({hostname, port, path: '/stop/large', agent: false, headers: weir.s3.sign('GET', '/stop/large')});
        const [response] = (await once(request, 'response')) as [http.IncomingMessage];
        if (handlerOf(response) !== main) return response;
        response.destroy();
      }
    };
    // Some go away in the middle; one reads to the end while the instance stops.
    for (let i = 0; i < 5; i++) (await begin()).destroy();
    const response = await begin();
    const restarting = weir.restart('SIGTERM');
    const body = Buffer.concat(await Array.fromAsync(response as AsyncIterable<Buffer>));
    assert.ok(body.equals(large));
    await restarting;
    assert.ok((await weir.s3.must('GET', '/stop/large')).body.equals(large));
    assert.doesNotMatch(weir.log, /did not end within|failed/);
  });
});
