/** Large uploads, whose digests threads compute: the answers are those of small ones, an idle instance has no such thread, and none outlives its process. */
import assert from 'node:assert/strict';
import {createHash, randomBytes} from 'node:crypto';
import {once} from 'node:events';
import {readdir, readFile} from 'node:fs/promises';
import http from 'node:http';
import {availableParallelism} from 'node:os';
import {describe, it} from 'node:test';
import {Weir} from './harness.ts';

const mib = 2 ** 20;
const md5 = (bytes: Buffer, encoding: 'hex' | 'base64'): string => createHash('md5').update(bytes).digest(encoding);

async function threadsOf(pid: number): Promise<number> {
  const names = await Promise.all((await readdir(`/proc/${pid}/task`)).map(task => readFile(`/proc/${pid}/task/${task}/comm`, 'utf8').catch(() => '')));
  return names.filter(name => name.startsWith('WorkerThread')).length;
}

describe('digests in threads', {timeout: 120_000}, () => {
  it('are right, find damage, and stop with the process', async () => {
    await using weir = await Weir.start({args: []});
    const {s3} = weir;
    await s3.must('PUT', '/large');
    await s3.put('large', 'small', Buffer.from('small'));
    assert.equal(await threadsOf(weir.pid), 0);

    const bodies = [9 * mib, 12 * mib + 7, 8 * mib].map(length => randomBytes(length));
    const etags = await Promise.all(bodies.map((body, i) => s3.put('large', `object-${i}`, body)));
    assert.deepEqual(etags, bodies.map(body => `"${md5(body, 'hex')}"`));
    if (availableParallelism() > 1) assert.ok((await threadsOf(weir.pid)) >= 1);
    for (const [i, body] of bodies.entries()) assert.ok((await s3.must('GET', `/large/object-${i}`)).body.equals(body));

    const damaged = await s3.request('PUT', '/large/object-0', {body: bodies[1]!, headers: {'content-md5': md5(bodies[0]!, 'base64')}});
    assert.deepEqual([damaged.status, damaged.code], [400, 'BadDigest']);
    assert.ok((await s3.must('GET', '/large/object-0')).body.equals(bodies[0]!));

    // Stopped, and killed, while one is on its way.
    for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
      const headers = weir.s3.sign('PUT', '/large/unfinished', {payloadHash: 'UNSIGNED-PAYLOAD'});
      const {hostname, port} = new URL(weir.ready.s3);
      const request = http.request({hostname, port, method: 'PUT', path: '/large/unfinished', headers: {...headers, 'content-length': String(64 * mib)}});
      const broken = once(request, 'error');
      for (let sent = 0; sent < 16; sent++) if (!request.write(bodies[0]!.subarray(0, mib))) await once(request, 'drain');
      await weir.restart(signal);
      await broken;
      assert.equal((await weir.s3.request('GET', '/large/unfinished')).status, 404);
      assert.ok((await weir.s3.must('GET', '/large/object-1')).body.equals(bodies[1]!));
    }
  });
});
