import assert from 'node:assert/strict';
import {spawn} from 'node:child_process';
import {once} from 'node:events';
import {mkdtemp, rm} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {after, before, describe, it} from 'node:test';
import {isKind, WeirError} from '#base/errors.ts';
import {createNodeRuntime} from '#runtime/node/node-runtime.ts';
import {libc} from '#runtime/node/native/libc.ts';

const runtime = createNodeRuntime({log: {level: 'silent'}});
const {disk} = runtime;
let directory: string;
before(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'weir-runtime-'));
});
after(() => rm(directory, {recursive: true}));

describe('the real disk beyond the suite', () => {
  it('reads what is in memory at once', async () => {
    await using file = await disk.open(path.join(directory, 'resident'), {mode: 'exclusive'});
    await file.write([Buffer.from('hello '), Buffer.from('world')], 0);
    const into = Buffer.alloc(5);
    const count = file.readResident(into, 6);
    if (libc()) assert.equal(count, 5);
    assert.equal(count === undefined ? 'world' : into.toString(), 'world');
  });

  it('gives a lock back when its process is killed', async () => {
    const target = path.join(directory, 'lock');
    const holder = spawn(process.execPath, [
      '--conditions=source',
      '--input-type=module',
      '-e',
      `import {nodeDisk} from '#runtime/node/node-disk.ts'; await nodeDisk.lock(${JSON.stringify(target)}); console.log('held'); setInterval(() => {}, 1000);`,
    ]);
    await once(holder.stdout, 'data');
    await assert.rejects(disk.lock(target), (error) => isKind(error, 'AlreadyRunning'));
    holder.kill('SIGKILL');
    await once(holder, 'exit');
    await using lock = await disk.lock(target);
    assert.ok(lock);
    await assert.rejects(disk.lock(target), (error) => isKind(error, 'AlreadyRunning'));
  });

  it('refuses to be led out of a directory by a link', async () => {
    const inside = path.join(directory, 'inside');
    await disk.makeDirectory(inside);
    await using outside = await disk.open(path.join(directory, 'outside'), {mode: 'create'});
    assert.ok(outside);
    const {symlink} = await import('node:fs/promises');
    await symlink('../outside', path.join(inside, 'link'));
    const beneath = await disk.realPath(inside);
    await assert.rejects(disk.open(path.join(inside, 'link'), {mode: 'read', beneath}), (error) => isKind(error, 'PermissionDenied'));
  });
});

describe('the real net', () => {
  it('carries bytes both ways, and says when nobody answers', async () => {
    const {net} = runtime;
    const listener = await net.listen({host: '127.0.0.1', port: 0}, (connection) => {
      void (async () => {
        for await (const chunk of connection.incoming) await connection.write([Buffer.from('> '), chunk]);
        await connection.end();
      })();
    });
    const connection = await net.connect(listener.address);
    await connection.write([Buffer.from('ping')]);
    await connection.end();
    const heard: Uint8Array[] = [];
    for await (const chunk of connection.incoming) heard.push(chunk);
    assert.equal(Buffer.concat(heard).toString(), '> ping');
    await assert.rejects(net.listen(listener.address, () => {}), (error) => isKind(error, 'AlreadyExists'));
    await listener[Symbol.asyncDispose]();
    await assert.rejects(net.connect(listener.address), (error) => isKind(error, 'Unavailable'));
  });
});

describe('metrics', () => {
  it('are rendered with labels and values', async () => {
    const {metrics} = createNodeRuntime({log: {level: 'silent'}});
    metrics.counter('weir_a_total', 'A.', {kind: 'x'}).add(2);
    metrics.counter('weir_a_total', 'A.', {kind: 'y'}).add();
    metrics.gauge('weir_b_bytes', 'B.', () => [{labels: {tier: 'SSD'}, value: 7}], ['tier']);
    metrics.histogram('weir_c_seconds', 'C.', [0.1, 1]).observe(0.5);
    const text = await metrics.render();
    for (const line of ['weir_a_total{kind="x"} 2', 'weir_a_total{kind="y"} 1', 'weir_b_bytes{tier="SSD"} 7', 'weir_c_seconds_bucket{le="1"} 1']) assert.ok(text.includes(line), line);
  });
});

describe('the real clock', () => {
  it('never tells the same nanosecond twice, and wakes sleepers that are called off', async () => {
    const {clock} = runtime;
    const times = Array.from({length: 1000}, () => clock.nowNs());
    assert.equal(new Set(times).size, 1000);
    const abort = new AbortController();
    const sleep = clock.sleep(60_000, {signal: abort.signal});
    abort.abort(new WeirError('Cancelled', 'enough'));
    await assert.rejects(sleep, (error) => isKind(error, 'Cancelled'));
  });
});
