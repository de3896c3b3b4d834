/**
 * The same tree of ugly names through every stock client, unmodified: what a client puts, copies, presigns and deletes is looked at by an
 * independent reader, and what one has written another reads.
 */
import assert from 'node:assert/strict';
import {mkdir, mkdtemp, readFile, rm, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {after, describe, test} from 'node:test';
import {Weir} from '../harness.ts';
import {encodeKey} from '../s3-client.ts';
import type {Client, Doing, Session} from './client.ts';
import {largeText} from './large.ts';
import {names} from './names.ts';
import {says, urlSays} from './proof.ts';
import {rawFetch} from './raw-fetch.ts';
import {type RecordedRequest, type Recorder, startRecorder} from './recorder.ts';

/** A line of text, which also those can write who write tables. */
const bodyOf = (label: string): string => `${label}\n`;

const failureCharsMax = 500;
const clientsAtOnce = 3;

/** Short enough whatever the name was. */
const copyOf = (label: string): string => (Buffer.byteLength(names[label]!) > 1000 ? `copy of ${label}` : `copy of ${names[label]}`);

class Running {
  readonly client: Client;
  readonly session: Session;
  readonly recorder: Recorder;
  readonly bucket: string;
  readonly scratch: string;

  constructor(client: Client, session: Session, recorder: Recorder, scratch: string) {
    this.client = client;
    this.session = session;
    this.recorder = recorder;
    this.bucket = client.name;
    this.scratch = scratch;
  }

  can(doing: Doing, label: string): boolean {
    return !(this.client.cannot ?? []).some(({names: labels, doing: only}) => labels.includes(label) && (only ?? [doing]).includes(doing));
  }

  labels(doing: Doing): string[] {
    return Object.keys(names).filter(label => this.can('put', label) && this.can(doing, label));
  }

  async file(body: string): Promise<string> {
    const file = path.join(this.scratch, 'body');
    await writeFile(file, body);
    return file;
  }

  async get(bucket: string, key: string): Promise<string> {
    const file = path.join(this.scratch, 'got');
    await rm(file, {recursive: true, force: true});
    await this.session.get(bucket, key, file);
    return await readFile(file, 'utf8');
  }

  /** The exceptions of the client, tried all the same: whatever comes of it, nothing that it sends says the name. */
  async prove(doing: Exclude<Doing, 'list' | 'presignGet' | 'presignPut'>, attempt: (key: string, label: string) => Promise<unknown>): Promise<void> {
    for (const label of Object.keys(names).filter(label => !this.can(doing, label) && (doing === 'put' || this.can('put', label)))) {
      const before = this.recorder.requests.length;
      await attempt(names[label]!, label).catch(() => undefined);
      const said = this.recorder.requests.slice(before).find((request: RecordedRequest) => says(request, doing, this.bucket, names[label]!));
      assert.equal(said?.head, undefined, `${this.client.name} can ${doing} ${label} by now; its exception has to go`);
    }
  }
}

/** Every label, whatever becomes of the one before; what failed is said together. */
async function each(labels: readonly string[], check: (label: string, key: string) => Promise<void>): Promise<void> {
  const failures: string[] = [];
  for (const label of labels) {
    await check(label, names[label]!).catch((error: unknown) => failures.push(`${label}: ${String(error).slice(0, failureCharsMax)}`));
  }
  assert.equal(failures.length, 0, failures.join('\n'));
}

export async function describeClients(title: string, clients: readonly Client[]): Promise<void> {
  const weir = await Weir.start({args: []});
  const reader = weir.s3;
  const home = await mkdtemp(path.join(tmpdir(), 'weir-clients-'));
  const large = largeText();
  const running: Running[] = [];
  for (const client of clients) {
    const recorder = await startRecorder(weir.ready.s3);
    const scratch = path.join(home, client.name);
    await mkdir(scratch);
    await reader.must('PUT', `/${client.name}`);
    const {accessKeyId, secretAccessKey} = weir.ready;
    const session = await client.start({endpoint: recorder.endpoint, accessKeyId, secretAccessKey, bucket: client.name, scratch});
    if (session) running.push(new Running(client, session, recorder, scratch));
    else await recorder[Symbol.asyncDispose]();
  }
  const text = async (bucket: string, key: string): Promise<string | undefined> => (await reader.get(bucket, key))?.toString();

  describe(title, () => {
    after(async () => {
      for (const {session, recorder} of running) {
        await session[Symbol.asyncDispose]();
        await recorder[Symbol.asyncDispose]();
      }
      reader.close();
      await weir[Symbol.asyncDispose]();
      await rm(home, {recursive: true, force: true});
    });

    /** A test for each client, some at a time: they meet in what they read, and have written by then. */
    const phase = (doing: string, check: (one: Running, index: number) => Promise<void>, needs: (session: Session) => boolean = () => true): void => {
      describe(doing, {concurrency: clientsAtOnce}, () => {
        for (const [index, one] of running.entries()) test(`${one.bucket} ${doing}`, {skip: !needs(one.session) && 'not applicable: the client has no way to'}, () => check(one, index));
      });
    };

    phase('puts', async one => {
      // First what it cannot say: it may say another name instead.
      await one.prove('put', async (key, label) => await one.session.put(key, await one.file(bodyOf(label))));
      await each(one.labels('put'), async (label, key) => {
        await one.session.put(key, await one.file(bodyOf(label)));
        assert.equal(await text(one.bucket, key), bodyOf(label));
      });
    });

    phase('lists', async one => {
      const wanted = one.labels('list').map(label => names[label]!);
      // What it cannot list may spoil the whole answer for it; and attempts at what it cannot say have left other names.
      for (const key of await reader.keys(one.bucket)) if (!wanted.includes(key)) await reader.remove(one.bucket, key);
      assert.deepEqual([...(await one.session.list(one.bucket))].toSorted(), wanted.toSorted());
      for (const label of one.labels('put')) if (!one.can('list', label)) await reader.put(one.bucket, names[label]!, bodyOf(label));
    });

    phase('gets what others have put', async (one, index) => {
      await each(Object.keys(names).filter(label => one.can('get', label)), async (label, key) => {
        const writers = running.filter(other => other.can('put', label));
        const writer = writers[(index + 1 + label.length) % writers.length];
        if (writer) assert.equal(await one.get(writer.bucket, key), bodyOf(label), `put by ${writer.bucket}`);
      });
      await one.prove('get', async key => await one.get(one.bucket, key));
    });

    phase('puts and gets 16 MiB in parts', async one => {
      const key = 'large/in parts';
      await one.session.putLarge(key, await one.file(large));
      assert.equal((await text(one.bucket, key)) === large, true, 'the bytes');
      assert.match((await reader.must('HEAD', `/${one.bucket}/${encodeKey(key)}`)).headers.etag!, /^"[0-9a-f]{32}-\d+"$/);
      assert.equal((await one.get(one.bucket, key)) === large, true, 'the bytes that it got');
      await reader.remove(one.bucket, key);
    });

    phase('copies', async one => {
      const copy = one.session.copy!;
      await each(one.labels('copy'), async (label, key) => {
        await copy(key, copyOf(label));
        assert.equal(await text(one.bucket, copyOf(label)), bodyOf(label));
        await reader.remove(one.bucket, copyOf(label));
      });
      await one.prove('copy', async (key, label) => await copy(key, copyOf(label)));
    }, session => session.copy !== undefined);

    phase('presigns what is then got', async one => {
      const presign = one.session.presignGet!;
      await each(one.labels('presignGet'), async (label, key) => assert.deepEqual(await rawFetch('GET', await presign(key)), {status: 200, body: bodyOf(label)}));
      await each(one.labels('put').filter(label => !one.can('presignGet', label)), async (_label, key) => {
        assert.ok(!urlSays(await presign(key).catch(() => ''), one.bucket, key), 'it can by now; its exception has to go');
      });
    }, session => session.presignGet !== undefined);

    phase('presigns what is then put', async one => {
      await each(one.labels('presignPut'), async (label, key) => {
        assert.equal((await rawFetch('PUT', await one.session.presignPut!(key), `${label} anew`)).status, 200);
        assert.equal(await text(one.bucket, key), `${label} anew`);
      });
    }, session => session.presignPut !== undefined);

    phase('writes a table by a committer for S3', async one => {
      await one.session.putTable!('table');
      const keys = await reader.keys(one.bucket, 'table/');
      assert.equal((JSON.parse((await text(one.bucket, 'table/_SUCCESS')) ?? '{}') as {committer?: string}).committer, 'magic');
      assert.ok(!keys.some(key => /__magic|_temporary/.test(key)), keys.join(' '));
      assert.ok(!(await reader.must('GET', `/${one.bucket}`, {query: 'uploads='})).body.toString().includes('<Upload>'), 'uploads that are left');
      assert.equal(await one.session.countTable!('table'), Math.ceil((100_000 - 3) / 7));
    }, session => session.putTable !== undefined);

    phase('deletes', async one => {
      const {remove, removeMany} = one.session;
      await one.prove('remove', key => remove!(key));
      if (removeMany) await one.prove('removeMany', key => removeMany([key, 'another']));
      const many = removeMany ? one.labels('removeMany').filter((_, i) => i % 3 > 0) : [];
      if (removeMany && many.length > 0) await removeMany(many.map(label => names[label]!));
      await each(many, async (_label, key) => assert.equal(await text(one.bucket, key), undefined));
      await each(one.labels('remove').filter(label => !many.includes(label)), async (_label, key) => {
        await remove!(key);
        assert.equal(await text(one.bucket, key), undefined);
      });
    }, session => session.remove !== undefined);
  });
}
