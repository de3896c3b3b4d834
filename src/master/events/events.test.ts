/** What is told of which operation, and how it is delivered, in virtual time. */
import assert from 'node:assert/strict';
import {createHmac} from 'node:crypto';
import {test} from 'node:test';
import {fromText} from '#base/byte-string.ts';
import {isKind, WeirError} from '#base/errors.ts';
import {bytes, context, mountBucket, put, World} from '#master/fixture.test.ts';
import {listen, Receiver, rule} from '#master/events/fixture.test.ts';
import type {Master} from '#master/master.ts';
import type {Clock} from '#runtime/clock.ts';
import type {Capabilities} from '#understore/under-store.ts';

const soonMs = 100;

async function withReceiver(capabilities: Partial<Capabilities>, fn: (master: Master, receiver: Receiver, clock: Clock, world: World) => Promise<void>): Promise<void> {
  const world = new World(5);
  const receiver = new Receiver();
  world.http = receiver;
  world.store('mem://bucket/', capabilities);
  await world.life(async (master, {clock}) => {
    await mountBucket(master);
    await master.putWebhook('hook', {url: 'http://receiver.example/in'}, context);
    await fn(master, receiver, clock, world);
  });
}

for (const [kind, capabilities] of Object.entries({'of objects': {}, 'with directories': {directories: true, recursiveList: false, rename: 'tree', metadata: false}} as const)) {
  test(`every change of an object is told, on a store ${kind}`, async () => {
    await withReceiver(capabilities, async (master, receiver, clock) => {
      await put(master, '/b/before', 'x');
      await listen(master, rule());
      const told = async (): Promise<string[]> => {
        await clock.sleep(soonMs);
        return receiver.take();
      };
      assert.deepEqual(await told(), []);
      await put(master, fromText('/b/a b/ü+'), 'hello');
      await put(master, '/b/copy', 'x', {origin: 'copy'});
      await put(master, '/b/form', 'x', {origin: 'post'});
      assert.deepEqual(await told(), ['ObjectCreated:Put a+b/%C3%BC%2B', 'ObjectCreated:Copy copy', 'ObjectCreated:Post form']);
      await master.setAttributes(bytes('/b/copy'), {xattrs: {'weir.s3.tagging': Buffer.from('a=b')}}, {kind: 'file'}, context);
      await master.setAttributes(bytes('/b/copy'), {xattrs: {'weir.s3.tagging': null}}, {kind: 'file'}, context);
      await master.setAttributes(bytes('/b/copy'), {xattrs: {'weir.s3.acl': Buffer.from('x')}}, {kind: 'file'}, context);
      await master.setAttributes(bytes('/b/copy'), {mode: 0o600}, {kind: 'file'}, context);
      assert.deepEqual(await told(), ['ObjectTagging:Put copy', 'ObjectTagging:Delete copy', 'ObjectAcl:Put copy']);
      await master.rename(bytes('/b/copy'), bytes('/b/moved'), {replace: false}, context);
      assert.deepEqual((await told()).sort(), ['ObjectCreated:Copy moved', 'ObjectRemoved:Delete copy']);
      await master.remove(bytes('/b/moved'), {kind: 'file'}, context);
      assert.deepEqual(await told(), ['ObjectRemoved:Delete moved']);
      await assert.rejects(master.remove(bytes('/b/moved'), {kind: 'file'}, context), (error) => isKind(error, 'NotFound'));
      for (const key of ['t/1', 't/u/2', 't/u/3']) await put(master, `/b/${key}`, 'x');
      await master.remove(bytes('/b/t/'), {recursive: true}, context);
      await clock.sleep(5_000);
      assert.deepEqual((await told()).sort(), ['ObjectCreated:Put t/1', 'ObjectCreated:Put t/u/2', 'ObjectCreated:Put t/u/3', 'ObjectRemoved:Delete t/1', 'ObjectRemoved:Delete t/u/2', 'ObjectRemoved:Delete t/u/3']);
      for (let i = 0; i < 450; i++) await put(master, `/b/tree/${i % 7}/${i}`, 'x');
      await put(master, '/b/tree/', '');
      await told();
      await master.rename(bytes('/b/tree/'), bytes('/b/grown/'), {replace: false}, {...context, trace: 'RENAME'});
      await clock.sleep(60_000);
      assert.ok(receiver.told.every(({record}) => (record['responseElements'] as {'x-amz-request-id': string})['x-amz-request-id'] === 'RENAME'));
      const expected = Array.from({length: 450}, (_, i) => `${i % 7}/${i}`).concat('').flatMap(key => [`ObjectRemoved:Delete tree/${key}`, `ObjectCreated:Copy grown/${key}`]);
      assert.deepEqual((await told()).sort(), expected.sort());
      await master.remove(bytes('/b/grown/'), {recursive: true}, context);
      await clock.sleep(60_000);
      assert.equal((await told()).length, 451);
      await listen(master);
      await master.setSetting(bytes('/b/'), 'notification', null, context);
      await put(master, '/b/after', 'x');
      assert.deepEqual(await told(), []);
    });
  });
}

test('where versions are kept: ids, delete markers, versions that go, what the lifecycle does', async () => {
  await withReceiver({}, async (master, receiver, clock) => {
    await master.setSetting(bytes('/b/'), 'versioning', 'Enabled', context);
    await listen(master, rule());
    const {inode} = await put(master, '/b/k', 'one');
    const {versionId} = await master.remove(bytes('/b/k'), {kind: 'file', deleteMarker: true}, context);
    await master.remove(bytes('/b/k'), {kind: 'file', version: versionId!}, context);
    await clock.sleep(soonMs);
    const objects = receiver.told.filter(({key}) => key === 'k').map(({event, record}) => ({event, ...(record['s3'] as {object: {versionId?: string}}).object}));
    assert.deepEqual(objects.map(({event, versionId: id}) => [event, id]), [
      ['ObjectCreated:Put', `w${inode.version!.toString(36).padStart(11, '0')}`], ['ObjectRemoved:DeleteMarkerCreated', versionId], ['ObjectRemoved:Delete', versionId],
    ]);
    const sequencers = receiver.told.filter(({key}) => key === 'k').map(({record}) => (record['s3'] as {object: {sequencer: string}}).object.sequencer);
    assert.deepEqual(sequencers, sequencers.toSorted());
    assert.equal(new Set(sequencers).size, 3);
    receiver.take();
    await master.setSetting(bytes('/b/'), 'lifecycle', JSON.stringify([{id: 'r', enabled: true, form: 'filter', filter: {}, expiration: {days: 1}}]), context);
    await clock.sleep(3 * 86_400_000);
    assert.deepEqual(receiver.take(), ['LifecycleExpiration:DeleteMarkerCreated k']);
  });
});

test('the record is that of S3, signed and with a token; a test comes with the configuration', async () => {
  await withReceiver({}, async (master, receiver, clock) => {
    await master.putWebhook('hook', {url: 'https://receiver.example/in?x=1', token: 'tok', secret: 'sec'}, context);
    await listen(master, rule({id: 'mine', events: ['s3:ObjectCreated:Put', 's3:ObjectRemoved:*'], filter: [{name: 'Prefix', value: 'in/'}, {name: 'suffix', value: '.jpg'}]}));
    const caller = {...context, principal: {name: 'alice', uid: 7, gids: [], authorized: true as const}, trace: 'REQ1', remote: '10.0.0.7'};
    await put(master, '/b/in/a.jpg', 'hello');
    for (const path of ['/b/in/a.png', '/b/out/a.jpg']) await put(master, path, 'x');
    await master.remove(bytes('/b/in/a.jpg'), {kind: 'file'}, caller);
    await clock.sleep(soonMs);
    const [first, second, third, ...more] = receiver.told;
    assert.deepEqual(more, []);
    assert.equal(first!.event, 's3:TestEvent');
    assert.equal(first!.record['Bucket'], 'b');
    assert.equal(second!.url, 'https://receiver.example/in?x=1');
    assert.equal(second!.header('authorization'), 'Bearer tok');
    const [, seconds, signature] = /^t=(\d+),v1=([0-9a-f]{64})$/.exec(second!.header('x-weir-signature')!)!;
    assert.equal(signature, createHmac('sha256', 'sec').update(`${seconds}.${second!.text}`).digest('hex'));
    const {eventTime, s3, ...rest} = second!.record as {eventTime: string; s3: {object: {sequencer: string}}};
    assert.match(eventTime, /^\d{4}-\d\d-\d\dT[\d:]{8}\.\d{3}Z$/);
    assert.deepEqual(rest, {
      eventVersion: '2.1', eventSource: 'aws:s3', awsRegion: 'us-east-1', eventName: 'ObjectCreated:Put', userIdentity: {principalId: 'root'}, requestParameters: {sourceIPAddress: ''},
      responseElements: {'x-amz-request-id': '', 'x-amz-id-2': ''},
    });
    const {eventName, userIdentity, requestParameters, responseElements} = third!.record;
    assert.deepEqual({eventName, userIdentity, requestParameters, responseElements}, {
      eventName: 'ObjectRemoved:Delete', userIdentity: {principalId: 'alice'}, requestParameters: {sourceIPAddress: '10.0.0.7'}, responseElements: {'x-amz-request-id': 'REQ1', 'x-amz-id-2': 'REQ1'},
    });
    const {sequencer, ...object} = s3.object;
    assert.match(sequencer, /^[0-9A-F]{16}$/);
    assert.deepEqual({...s3, object}, {
      s3SchemaVersion: '1.0', configurationId: 'mine', bucket: {name: 'b', ownerIdentity: {principalId: 'uid:0'}, arn: 'arn:aws:s3:::b'}, object: {key: 'in/a.jpg', size: 5, eTag: '5d41402abc4b2a76b9719d911017c592'},
    });
  });
});

test('who does not answer is tried again, ever more slowly, in order for each key, also after a restart', async () => {
  const world = new World(6);
  const receiver = new Receiver();
  world.http = receiver;
  world.store('mem://bucket/');
  await world.life(async (master, {clock}) => {
    await mountBucket(master);
    await master.putWebhook('hook', {url: 'http://receiver.example/'}, context);
    await listen(master, rule());
    await clock.sleep(soonMs);
    receiver.answer = () => new WeirError('Unavailable', 'nobody there');
    for (const body of ['1', '22', '333']) await put(master, '/b/a', body);
    await put(master, '/b/b', 'x');
    await clock.sleep(1_000_000);
    const [info] = await master.listWebhooks(context);
    assert.deepEqual([info!.backlog, info!.dropped, info!.lastError], [4, 0, 'nobody there']);
    assert.ok(receiver.attempts < 80, `${receiver.attempts} attempts`);
  });
  receiver.answer = ({key}) => (key === 'b' ? 500 : 204);
  await world.life(async (master, {clock}) => {
    await clock.sleep(10_000);
    assert.deepEqual(receiver.told.filter(({key}) => key === 'a').map(({record}) => (record['s3'] as {object: {size: number}}).object.size), [1, 2, 3]);
    receiver.answer = () => 200;
    await clock.sleep(70_000);
    assert.deepEqual(receiver.take().at(-1), 'ObjectCreated:Put b');
    const [info] = await master.listWebhooks(context);
    assert.deepEqual([info!.backlog, info!.lastError], [0, undefined]);
  });
});

test('what is refused keeps nobody waiting but events of its own key', async () => {
  await withReceiver({}, async (master, receiver, clock) => {
    await listen(master, rule());
    receiver.answer = ({key}) => (key === 'bad' ? 400 : 200);
    for (let i = 0; i < 300; i++) await put(master, '/b/bad', 'x');
    await put(master, '/b/good', 'x');
    await clock.sleep(120_000);
    assert.deepEqual(receiver.take(), ['ObjectCreated:Put good']);
  });
});

test('what was refused for a week is given up', async () => {
  const world = new World(8);
  const receiver = new Receiver();
  receiver.answer = () => 400;
  world.http = receiver;
  world.store('mem://bucket/');
  await world.life(async master => {
    await mountBucket(master);
    await master.putWebhook('hook', {url: 'http://receiver.example/'}, context);
    await listen(master, rule());
    for (const body of ['1', '2']) await put(master, '/b/bad', body);
  });
  await world.simulation.run(async ({clock}) => clock.sleep(7 * 86_400_000));
  await world.life(async (master, {clock}) => {
    await put(master, '/b/bad', 'new');
    await clock.sleep(600_000);
    const [info] = await master.listWebhooks(context);
    assert.deepEqual([info!.backlog, info!.dropped], [1, 3], 'the test of the configuration and two events');
    receiver.answer = () => 200;
    await clock.sleep(120_000);
    assert.deepEqual(receiver.take(), ['ObjectCreated:Put bad']);
  });
});

test('webhooks: what may be one, what a bucket may name, what may be removed', async () => {
  await withReceiver({}, async (master, receiver, clock) => {
    const refused = async (promise: Promise<unknown>, kind: 'InvalidArgument' | 'NotFound' | 'Busy'): Promise<void> => assert.rejects(promise, (error) => isKind(error, kind));
    for (const url of ['ftp://x/', 'http://', 'http://u:p@x/', 'http://x/#f', '/x']) await refused(master.putWebhook('w', {url}, context), 'InvalidArgument');
    await refused(master.putWebhook('a b', {url: 'http://x/'}, context), 'InvalidArgument');
    await refused(master.putWebhook('w', {url: 'http://x/', token: 'a\r\nb: c'}, context), 'InvalidArgument');
    await refused(listen(master, rule({arn: 'arn:weir:sqs::other:webhook'})), 'InvalidArgument');
    await listen(master, rule());
    await refused(master.removeWebhook('hook', context), 'Busy');
    await refused(master.removeWebhook('nobody', context), 'NotFound');
    receiver.answer = () => 503;
    await put(master, '/b/a', 'x');
    await master.setSetting(bytes('/b/'), 'notification', null, context);
    await master.removeWebhook('hook', context);
    assert.deepEqual(await master.listWebhooks(context), []);
    await master.putWebhook('hook', {url: 'http://receiver.example/'}, context);
    receiver.answer = () => 200;
    receiver.take();
    await clock.sleep(120_000);
    assert.deepEqual(receiver.take(), [], 'what waited for one that was removed is not for the next of its name');
  });
});
