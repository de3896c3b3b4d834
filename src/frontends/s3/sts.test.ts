/** Temporary credentials, as stock clients ask for them. */
import assert from 'node:assert/strict';
import {after, before, test} from 'node:test';
import {codeIn, type Answer, Gateway} from '#frontends/s3/fixture.test.ts';

let gateway: Gateway;
before(async () => {
  gateway = await Gateway.start();
});
after(() => gateway[Symbol.asyncDispose]());

const ask = (form: Record<string, string>): Promise<Answer> =>
  gateway.signed('POST', '/', undefined, new URLSearchParams({Version: '2011-06-15', ...form}).toString(), new Date(), {'content-type': 'application/x-www-form-urlencoded'});
const elementOf = (answer: Answer, name: string): string => new RegExp(`<${name}>([^<]*)</${name}>`).exec(answer.body.toString())?.[1] ?? '';

test('whoever signs may ask who he is', async () => {
  const {root} = gateway.identity.directory;
  const answer = await ask({Action: 'GetCallerIdentity'});
  assert.deepEqual([answer.status, elementOf(answer, 'Account'), elementOf(answer, 'UserId')], [200, root.accountId, root.id], answer.body.toString());
  assert.match(elementOf(answer, 'Arn'), new RegExp(`^arn:aws:iam::${root.accountId}:`));
});

test('sessions end when they were asked to, and their policies are checked when they begin', async () => {
  const session = await ask({Action: 'AssumeRole', RoleArn: 'arn:aws:iam::000000000000:role/any', RoleSessionName: 'job', DurationSeconds: '900'});
  const leftMs = Date.parse(elementOf(session, 'Expiration')) - Date.now();
  assert.ok(elementOf(session, 'SessionToken') !== '' && leftMs > 890_000 && leftMs <= 900_000, session.body.toString());
  const refused = async (form: Record<string, string>): Promise<string> => codeIn(await ask(form));
  assert.equal(await refused({Action: 'GetSessionToken', DurationSeconds: '60'}), 'InvalidParameterValue');
  assert.equal(await refused({Action: 'AssumeRole', RoleSessionName: 'no spaces'}), 'InvalidParameterValue');
  assert.equal(await refused({Action: 'AssumeRole', RoleSessionName: 'job', Policy: '{'}), 'MalformedPolicyDocument');
  assert.equal(await refused({Action: 'Nonsense'}), 'InvalidAction');
});
