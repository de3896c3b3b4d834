/** The small parts of a process: the home, its keys, its cache directories, and mounts that would lead back. */
import assert from 'node:assert/strict';
import {chmod, mkdtemp, readdir, rm, stat, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {after, before, beforeEach, describe, it} from 'node:test';
import {isKind, WeirError} from '#base/errors.ts';
import {cacheTiers} from '#process/cache-tiers.ts';
import {commandRuntime} from '#process/command-runtime.ts';
import {findInstance, type Home, homeAt, homeDirectory, lockHome, writeInstance} from '#process/home.ts';
import {checkHomePermissions} from '#process/home-permissions.ts';
import {heard} from '#process/heard-log.ts';
import {readRootKey, rootKey} from '#process/keys.ts';
import {leadsTo, refuseOwnEndpoint} from '#process/own-endpoint.ts';
import type {Log} from '#runtime/log.ts';
import type {StoreRegistry} from '#understore/store-provider.ts';

const runtime = commandRuntime();
const {disk} = runtime;
let root: string;
let home: Home;
let count = 0;

before(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'weir-home-'));
});
beforeEach(() => {
  home = homeAt(`${root}/home-${count++}`);
});
after(() => rm(root, {recursive: true}));

describe('the home', () => {
  it('is where --home, $WEIR_HOME or $HOME say', () => {
    assert.equal(homeDirectory('/a/b/', {}, '/w'), '/a/b');
    assert.equal(homeDirectory('b', {WEIR_HOME: '/c'}, '/w'), '/w/b');
    assert.equal(homeDirectory(undefined, {WEIR_HOME: '/c', HOME: '/h'}, '/w'), '/c');
    assert.equal(homeDirectory(undefined, {HOME: '/h'}, '/w'), '/h/.weir');
    assert.throws(() => homeDirectory(undefined, {}, '/w'), (error) => isKind(error, 'InvalidArgument'));
  });

  it('has one instance at a time, and is the owner\'s alone', async () => {
    {
      await using _mine = await lockHome(disk, home);
      await assert.rejects(lockHome(disk, home), (error) => isKind(error, 'AlreadyRunning'));
      assert.equal((await stat(home.directory)).mode & 0o777, 0o700);
    }
    await using _again = await lockHome(disk, home);
  });

  it('is refused when everybody may open its key, and warned of when they may look into it', async () => {
    await using _lock = await lockHome(disk, home);
    await rootKey(runtime, home);
    const said: string[] = [];
    const log = {...runtime.log, warn: (message: string) => void said.push(message)};
    for (const [path, mode] of [[home.keys, 0o644], [home.state, 0o755]] as const) await chmod(path, mode);
    await checkHomePermissions({disk, log}, home);
    assert.deepEqual(said, [], 'nobody gets through the home');
    await chmod(home.directory, 0o755);
    await assert.rejects(checkHomePermissions({disk, log}, home), (error) => isKind(error, 'PermissionDenied') && /mode 644.*chmod 600/.test(error.message));
    await chmod(home.keys, 0o600);
    await checkHomePermissions({disk, log}, home);
    assert.equal(said.length, 1);
    assert.match(said[0]!, /may look into .*state \(mode 755\)/);
  });

  it('knows a running instance from what one left behind', async () => {
    const info = {pid: 4711, home: home.directory, s3: '', http: '', rpc: {host: '', port: 1}, startedAt: 0};
    {
      await using _mine = await lockHome(disk, home);
      await writeInstance(disk, home, info);
      assert.deepEqual(await findInstance(disk, home, () => true), info);
      assert.equal(await findInstance(disk, home, () => false), undefined);
    }
    assert.equal(await findInstance(disk, home, () => true), undefined, 'the number went to another process');
    await writeFile(home.instance, '{"pid":');
    assert.equal(await findInstance(disk, home, () => true), undefined);
  });
});

describe('the root key', () => {
  it('is made once, for the owner only, and found by its id', async () => {
    await using _lock = await lockHome(disk, home);
    assert.equal(await readRootKey(runtime, home), undefined);
    const key = await rootKey(runtime, home);
    assert.match(key.accessKeyId, /^[A-Z2-7]{20}$/);
    assert.match(key.secretAccessKey, /^[\w-]{40}$/);
    assert.deepEqual(await rootKey(runtime, home), key);
    assert.equal((await stat(home.keys)).mode & 0o777, 0o600);
  });

  it('is not told by the message about a damaged file', async () => {
    await using _lock = await lockHome(disk, home);
    await writeFile(home.keys, '{"accessKeyId":"A","secretAccess');
    await assert.rejects(rootKey(runtime, home), (error) => isKind(error, 'Corrupt') && !error.message.includes('secretAccess'));
  });
});

describe('cache tiers', () => {
  it('stay the same over restarts, and begin anew with a new state', async () => {
    await using _lock = await lockHome(disk, home);
    const first = await cacheTiers(runtime, home, {disks: []});
    assert.deepEqual((await cacheTiers(runtime, home, {disks: []})).tiers, first.tiers);
    assert.ok(first.tiers[0]!.quotaBytes > 0);
    await writeFile(`${first.tiers[0]!.directory}/page`, 'old');
    await rm(home.state, {recursive: true});
    await lockHomeAgain();
    const second = await cacheTiers(runtime, home, {disks: []});
    assert.notEqual(second.tiers[0]!.directory, first.tiers[0]!.directory);
    assert.equal((await readdir(home.cache)).length, 1, 'what belonged to the old state is gone');
  });

  it('are those of the options, in their order', async () => {
    await using _lock = await lockHome(disk, home);
    const disks = [{directory: `${root}/fast`, quotaBytes: 10}, {directory: `${root}/slow`, quotaBytes: 20}];
    const {tiers} = await cacheTiers(runtime, home, {disks});
    assert.deepEqual(tiers.map(({quotaBytes}) => quotaBytes), [10, 20]);
    assert.ok(tiers[1]!.directory.startsWith(`${root}/slow/`));
  });

  async function lockHomeAgain(): Promise<void> {
    await disk.makeDirectory(home.state, {permissions: 0o700});
  }
});

describe('an endpoint', () => {
  it('leads here by any name of the loopback, and by no other port', () => {
    for (const endpoint of ['http://127.0.0.1:7480', 'http://localhost:7480/', 'http://[::1]:7480', 'http://b.localhost:7480']) assert.ok(leadsTo(endpoint, {host: '127.0.0.1', port: 7480}), endpoint);
    assert.ok(leadsTo('http://localhost:7480', {host: '0.0.0.0', port: 7480}));
    assert.ok(leadsTo('http://weir.example:80', {host: 'weir.example', port: 80}));
    for (const endpoint of ['http://127.0.0.1:9000', 'http://minio:7480', 'nonsense']) assert.ok(!leadsTo(endpoint, {host: '127.0.0.1', port: 7480}), endpoint);
  });

  it('of this instance is refused from the environment too', async () => {
    const open: StoreRegistry = {schemes: ['s3'], describe: () => Promise.resolve({place: '', defaultName: 'b', secrets: []}), open: () => Promise.reject(new Error('opened'))};
    const registry = refuseOwnEndpoint(open, {AWS_ENDPOINT_URL_S3: 'http://127.0.0.1:7480'}, {host: '127.0.0.1', port: 7480});
    await assert.rejects(registry.describe('s3://b', {}), (error) => isKind(error, 'InvalidArgument'));
    await assert.rejects(registry.open('s3a://b', {}), (error) => isKind(error, 'InvalidArgument'));
    await assert.rejects(registry.open('s3://b', {endpoint: 'http://127.0.0.1:9000'}), /opened/);
    await registry.describe('file:///b', {});
  });
});

it('warnings are said as one line, without fields that may be long', () => {
  const written: string[] = [];
  const said: string[] = [];
  const note = (message: string) => void written.push(message);
  const log: Log = {debug: note, info: note, warn: note, error: note, child: () => log};
  const both = heard(log, (line) => void said.push(line)).child({part: 'x'});
  both.info('fine', {});
  both.warn('odd', {error: new Error('why'), other: 'field'});
  assert.deepEqual(written, ['fine', 'odd']);
  assert.deepEqual(said, ['odd: why']);
});

it('a home that cannot be written says so and names the way out', async () => {
  const closed = {...disk, makeDirectory: () => Promise.reject(new WeirError('ReadOnly', 'no'))};
  await assert.rejects(lockHome(closed, home), (error) => isKind(error, 'ReadOnly') && error.message.includes(home.directory) && error.message.includes('--home'));
});
