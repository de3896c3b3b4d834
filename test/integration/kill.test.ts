/**
 * kill -9 at random moments under puts, multipart uploads, copies, deletes, renames and new directories of several clients. Every client
 * keeps what was acknowledged; what was under way when the process died may have happened or not, but whole. After each restart Weir and
 * the bucket are compared with that.
 *
 * Five kills by default, more where changes are too slow to get through between them; WEIR_TEST_MINUTES=N runs longer, WEIR_TEST_SEED repeats the choices of a run.
 */
import assert from 'node:assert/strict';
import {createHash} from 'node:crypto';
import {test} from 'node:test';
import {setTimeout as sleep} from 'node:timers/promises';
import {writeTypes} from '#model/mount.ts';
import {eventually, seededRandom, startStack, type Weir} from './harness.ts';
import {encodeKey, type S3Client} from './s3-client.ts';

const minutes = Number(process.env['WEIR_TEST_MINUTES'] ?? 0);
const killsMin = 5;
/** So many, on a machine so slow that some kind of change has not come through yet. */
const killsMax = 20;
const kinds = ['put', 'multipart', 'copy', 'delete', 'rename file', 'rename tree', 'mkdir'];
const seed = Number(process.env['WEIR_TEST_SEED'] ?? Date.now() % 1e9);
const clients = 4;
const partBytes = 5 << 20;

/** Names a content. */
const md5 = (bytes: Uint8Array): string => `${createHash('md5').update(bytes).digest('hex').slice(0, 12)}:${bytes.length}`;
const absent = 'absent';

/** What one client knows of its own keys: for each, the states that may be found (more than one only after a call without an answer). */
class Ledger {
  readonly states = new Map<string, Set<string>>();
  /** Keys whose states belong together: either all the first ones, or all the second. */
  joint: readonly (readonly [key: string, before: string, after: string])[] = [];
  /** What was done, for the message when something is wrong. */
  readonly #story: string[] = [];

  state(key: string): string {
    const states = this.states.get(key) ?? new Set([absent]);
    assert.equal(states.size, 1, `${key} has not been settled`);
    return [...states][0]!;
  }

  /** Runs a change; when it gets no answer, both states are possible. A refusal changes nothing. */
  async change(what: string, changes: readonly (readonly [key: string, after: string])[], call: () => Promise<'done' | 'refused'>): Promise<void> {
    const joint = changes.map(([key, after]) => [key, this.state(key), after] as const);
    for (const [key, before, after] of joint) this.states.set(key, new Set([before, after]));
    this.joint = joint;
    const told = `${what} ${changes.map(([key, after]) => `${key}=${after}`).join(', ')}`;
    this.#story.push(`${told} …`);
    const result = await call();
    this.#story[this.#story.length - 1] = `${told} ${result}`;
    for (const [key, before, after] of joint) this.states.set(key, new Set([result === 'done' ? after : before]));
    this.joint = [];
  }

  #tell(key: string): string {
    const directory = key.slice(0, key.lastIndexOf('/') + 1);
    return this.#story.filter(line => line.includes(directory)).slice(-40).join('\n');
  }

  /** Settles what was open by what is found; throws when it is nothing that may be. */
  settle(found: ReadonlyMap<string, string>, where: string): void {
    for (const [key, states] of this.states) {
      const state = found.get(key) ?? absent;
      assert.ok(states.has(state), `${where}: ${key} is ${state}, and may be ${[...states].join(' or ')}\n${this.#tell(key)}`);
    }
    for (const key of found.keys()) assert.ok(this.states.has(key), `${where}: ${key} is there and was never written\n${this.#tell(key)}`);
    const afters = this.joint.filter(([key, before, after]) => before !== after && (found.get(key) ?? absent) === after).length;
    const differing = this.joint.filter(([, before, after]) => before !== after).length;
    assert.ok(afters === 0 || afters === differing, `${where}: half done: ${this.joint.map(([key]) => `${key} is ${found.get(key) ?? absent}`).join(', ')}`);
    this.joint = [];
    this.#story.push(`--- ${where}`);
    for (const key of this.states.keys()) {
      const state = found.get(key) ?? absent;
      if (state === absent) this.states.delete(key);
      else this.states.set(key, new Set([state]));
    }
  }
}

for (const writeType of writeTypes) test(`kill -9 loses nothing that was acknowledged as ${writeType}, and leaves nothing half (seed ${seed})`, {timeout: 600_000 + minutes * 60_000}, async context => {
  await using stack = await startStack('kill -9 under changes', {mountOptions: ['maxAge=10m', `writeType=${writeType}`], rttMs: 2});
  if (!stack) return context.skip('no S3 server');
  const {weir, direct, bucket} = stack;
  const random = seededRandom(seed);
  const ledgers = Array.from({length: clients}, () => new Ledger());
  const done: Record<string, number> = {};
  const endMs = Date.now() + minutes * 60_000;
  const missing = (): string[] => kinds.filter(kind => done[kind] === undefined);
  for (let kill = 0; kill < killsMin || Date.now() < endMs || (missing().length > 0 && kill < killsMax); kill++) {
    const stop = {now: false};
    const outcomes = Promise.allSettled(ledgers.map((ledger, i) => changeUntil(stop, weir, bucket, `c${i}`, ledger, random, done)));
    await sleep(300 + random() * 1500);
    await weir.kill('SIGKILL');
    stop.now = true;
    for (const outcome of await outcomes) if (outcome.status === 'rejected') throw outcome.reason;
    await weir.up();
    for (const [i, ledger] of ledgers.entries()) {
      ledger.settle(await contents(weir.s3, bucket, `c${i}/`), `after kill ${kill + 1}`);
    }
    // The store follows the namespace, if it has not yet: renames of trees are answered before they are done there.
    for (const [i, ledger] of ledgers.entries()) {
      const expected = new Map([...ledger.states].map(([key, states]) => [key, [...states][0]!]));
      let last = '';
      await eventually(`the bucket holds what Weir shows of c${i}`, async () => {
        try {
          assert.deepEqual(sorted(await contents(direct, bucket, `c${i}/`)), sorted(expected));
          return true;
        } catch (error) {
          last = (error as Error).message;
          return false;
        }
      }, 60_000).catch(async (error: unknown) => {
        const pending = JSON.stringify(await weir.rest('GET', `persist?path=/${bucket}/`)) + JSON.stringify(await weir.rest('GET', 'jobs'));
        throw new Error(`after kill ${kill + 1}: ${(error as Error).message}\n${last}\npending: ${pending}\n${weir.log.slice(-4000)}`);
      });
      // Asked anew, the store says the same: no belief had covered a difference.
      await weir.rest('POST', 'refresh', {path: `/${bucket}/`});
      assert.deepEqual(sorted(await contents(weir.s3, bucket, `c${i}/`)), sorted(expected), `after kill ${kill + 1}, refreshed`);
    }
  }
  context.diagnostic(JSON.stringify(done));
  await eventually('no multipart upload is left in the store that has a part and that Weir does not show', async () => {
    const shown = (await uploadsIn(weir.s3, bucket)).length;
    const stored = await uploadsIn(direct, bucket);
    const parts = await Promise.all(stored.map(async ({key, id}) => (await direct.request('GET', `/${bucket}/${encodeKey(key)}`, {query: `uploadId=${encodeURIComponent(id)}`})).body.includes('<Part>')));
    return parts.filter(Boolean).length <= shown;
  });
  direct.close();
  assert.deepEqual(missing(), [], `not every kind of change was acknowledged: ${JSON.stringify(done)}`);
});

async function uploadsIn(client: S3Client, bucket: string): Promise<{key: string; id: string}[]> {
  const text = (await client.must('GET', `/${bucket}`, {query: 'uploads='})).body.toString();
  return Array.from(text.matchAll(/<Upload>.*?<\/Upload>/gs), ([one]) => ({key: /<Key>([^<]*)</.exec(one)![1]!, id: /<UploadId>([^<]*)</.exec(one)![1]!}));
}

const sorted = (map: ReadonlyMap<string, string>): [string, string][] => [...map].toSorted(([a], [b]) => (a < b ? -1 : 1));

async function contents(client: S3Client, bucket: string, prefix: string): Promise<Map<string, string>> {
  // A rename that the last life has begun may be finished between the listing and the reading: then all is looked at again.
  for (let left = 10; ; left--) {
    const found = new Map<string, string>();
    let missing: string | undefined;
    for (const key of await client.keys(bucket, prefix)) {
      if (key.endsWith('/')) continue; // a directory's marker
      const bytes = await client.get(bucket, key);
      if (bytes) found.set(key, md5(bytes));
      else missing = key;
    }
    if (missing === undefined) return found;
    assert.ok(left > 0, `${missing} is listed and not there`);
  }
}

/** Changes one client's keys until the process is gone. Rejects on an answer that is wrong. */
async function changeUntil(stop: {now: boolean}, weir: Weir, bucket: string, own: string, ledger: Ledger, random: () => number, done: Record<string, number>): Promise<void> {
  const client = weir.s3;
  const pick = (n: number): number => Math.floor(random() * n);
  const bytesOf = (length: number): Buffer => Buffer.alloc(length, `${own} ${random()} `);
  const name = (): string => `${own}/d${pick(3)}/${['f', 'ü g', 'h%2F'][pick(3)]}${pick(3)}`;
  const sizes = [0, 10, 5000, 300_000, 2 << 20];
  const answered = (kind: string, status: number, refusals: readonly number[] = []): 'done' | 'refused' => {
    if (status >= 200 && status < 300) {
      const what = kind.replace(/ \(.*$/s, '');
      done[what] = (done[what] ?? 0) + 1;
      return 'done';
    }
    assert.ok(refusals.includes(status), `${kind}: status ${status}`);
    return 'refused';
  };
  const put = async (key: string): Promise<void> => {
    const body = bytesOf(sizes[pick(sizes.length)]! + pick(100));
    await ledger.change('put', [[key, md5(body)]], async () => answered('put', (await client.request('PUT', `/${bucket}/${encodeKey(key)}`, {body})).status));
  };
  const multipart = async (key: string): Promise<void> => {
    const target = `/${bucket}/${encodeKey(key)}`;
    const parts = [bytesOf(partBytes), bytesOf(1000 + pick(100_000))];
    await ledger.change('multipart', [[key, md5(Buffer.concat(parts))]], async () => {
      const made = await client.must('POST', target, {query: 'uploads='});
      const id = /<UploadId>([^<]+)</.exec(made.body.toString())![1]!;
      const tags: string[] = [];
      for (const [i, body] of parts.entries()) tags.push((await client.must('PUT', target, {query: `partNumber=${i + 1}&uploadId=${encodeURIComponent(id)}`, body})).headers.etag!);
      const body = `<CompleteMultipartUpload>${tags.map((tag, i) => `<Part><PartNumber>${i + 1}</PartNumber><ETag>${tag}</ETag></Part>`).join('')}</CompleteMultipartUpload>`;
      const completed = await client.request('POST', target, {query: `uploadId=${encodeURIComponent(id)}`, body});
      if (completed.broken) throw completed.broken;
      // A 200 that has begun may still bring an error, or end before it has said anything.
      assert.ok(completed.status !== 200 || completed.body.includes('CompleteMultipartUploadResult'), `completed with ${completed.body.toString()}`);
      return answered('multipart', completed.status);
    });
  };
  const copy = async (from: string, to: string): Promise<void> =>
    ledger.change('copy', [[to, ledger.state(from)]], async () => {
      const response = await client.request('PUT', `/${bucket}/${encodeKey(to)}`, {headers: {'x-amz-copy-source': `/${bucket}/${encodeKey(from)}`}});
      return answered(`copy (${response.body.toString().slice(0, 400)})`, response.status);
    });
  const remove = async (key: string): Promise<void> =>
    ledger.change('delete', [[key, absent]], async () => answered('delete', (await client.request('DELETE', `/${bucket}/${encodeKey(key)}`)).status));
  const rename = async (kind: string, from: string, to: string): Promise<'done' | 'refused'> => {
    const response = await weir.restResponse('POST', 'rename', {body: JSON.stringify({from: `/${bucket}/${from}`, to: `/${bucket}/${to}`, replace: true}), headers: {'content-type': 'application/json'}});
    const text = await response.text();
    // As on any file system, the new name's directory must be there.
    if (![200, 404, 409].includes(response.status)) throw new assert.AssertionError({message: `${kind}: ${response.status} ${text}`});
    return answered(kind, response.status, [404, 409]);
  };
  const makeDirectory = async (directory: string): Promise<void> => {
    const response = await weir.restResponse('POST', 'directories', {body: JSON.stringify({path: `/${bucket}/${directory}`, parents: true, existing: 'keep'}), headers: {'content-type': 'application/json'}});
    answered('mkdir', response.status, [409]);
  };

  try {
    for (let turn = 0; !stop.now; turn++) {
      const choice = random();
      const existing = [...ledger.states].filter(([, states]) => !states.has(absent)).map(([key]) => key);
      const some = existing[pick(existing.length)];
      if (choice < 0.4 || some === undefined) await put(name());
      else if (choice < 0.5) await multipart(name());
      else if (choice < 0.6) {
        const to = name();
        if (to !== some) await copy(some, to);
      } else if (choice < 0.72) await remove(some);
      else if (choice < 0.86) {
        const to = name();
        if (to !== some) await ledger.change('rename', [[some, absent], [to, ledger.state(some)]], () => rename('rename file', some, to));
      } else if (choice < 0.94) {
        const from = some.slice(0, some.lastIndexOf('/'));
        const to = `${own}/t${turn}${pick(1000)}`;
        const moved = existing.filter(key => key.startsWith(`${from}/`));
        const changes = moved.flatMap(key => [[key, absent], [to + key.slice(from.length), ledger.state(key)]] as const);
        await ledger.change(`rename tree ${from} to ${to}:`, changes, () => rename('rename tree', `${from}/`, `${to}/`));
      } else await makeDirectory(`${own}/d${pick(3)}`);
    }
  } catch (error) {
    if (error instanceof assert.AssertionError) throw error;
    // No answer: the process is gone, or else this is a failure.
    for (let i = 0; weir.running && i < 100; i++) await sleep(20);
    if (weir.running) throw error;
  } finally {
    client.close();
  }
}
