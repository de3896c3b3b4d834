import assert from 'node:assert/strict';
import {mkdtemp, rm, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {test} from 'node:test';
import {isKind} from '#base/errors.ts';
import {createNodeRuntime} from '#runtime/node/node-runtime.ts';
import {readConfig} from '#connectors/s3/config.ts';
import {credentialSource} from '#connectors/s3/credentials.ts';

const {clock} = createNodeRuntime();

test('options go before the environment, the environment before the chain', async () => {
  const variables = {AWS_ACCESS_KEY_ID: 'env', AWS_SECRET_ACCESS_KEY: 's', AWS_SESSION_TOKEN: 't'};
  const from = (options: Record<string, string>): Promise<unknown> => credentialSource(readConfig('s3://bucket', options), variables, clock).get();
  assert.deepEqual(await from({accessKeyId: 'opt', secretAccessKey: 'x'}), {accessKeyId: 'opt', secretAccessKey: 'x'});
  assert.deepEqual(await from({}), {accessKeyId: 'env', secretAccessKey: 's', sessionToken: 't'});
  assert.equal(await from({anonymous: 'true'}), undefined);
});

test('profiles are found by the AWS SDK, and their absence is explained', async t => {
  const directory = await mkdtemp(path.join(tmpdir(), 'weir-aws-'));
  t.after(() => rm(directory, {recursive: true}));
  await writeFile(path.join(directory, 'credentials'), '[lab]\naws_access_key_id = FROMFILE\naws_secret_access_key = filesecret\n');
  await writeFile(path.join(directory, 'config'), '[profile lab]\nregion = eu-north-1\n');
  const set = {AWS_SHARED_CREDENTIALS_FILE: path.join(directory, 'credentials'), AWS_CONFIG_FILE: path.join(directory, 'config'), AWS_EC2_METADATA_DISABLED: 'true'};
  const unset = ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_PROFILE', 'AWS_REGION', 'AWS_DEFAULT_REGION'];
  const saved = new Map([...Object.keys(set), ...unset].map(name => [name, process.env[name]]));
  t.after(() => {
    for (const [name, value] of saved) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
  });
  Object.assign(process.env, set);
  for (const name of unset) delete process.env[name];
  const lab = credentialSource(readConfig('s3://bucket', {profile: 'lab'}), {}, clock);
  const [first, second] = await Promise.all([lab.get(), lab.get()]);
  assert.deepEqual([first?.accessKeyId, first?.secretAccessKey, second?.accessKeyId], ['FROMFILE', 'filesecret', 'FROMFILE']);
  assert.equal(await lab.region(), 'eu-north-1');
  const none = credentialSource(readConfig('s3://bucket', {profile: 'absent'}), {}, clock);
  await assert.rejects(none.get(), error => isKind(error, 'Unauthenticated') && /AWS_ACCESS_KEY_ID/.test(error.message));
});
