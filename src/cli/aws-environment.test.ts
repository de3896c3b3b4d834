import assert from 'node:assert/strict';
import {test} from 'node:test';
import {awsOptions} from '#cli/aws-environment.ts';

const own = 'http://127.0.0.1:9000';
const shell = {AWS_ENDPOINT_URL_S3: 'http://store:7000', AWS_ENDPOINT_URL: 'http://other:1', AWS_REGION: 'eu-west-1', AWS_ACCESS_KEY_ID: 'ID', AWS_SECRET_ACCESS_KEY: 'SECRET', AWS_PROFILE: 'work'};

test('the AWS variables of the shell become options of an s3 mount; options that are given go first', () => {
  assert.deepEqual(awsOptions('s3://b', {}, shell, own), {endpoint: 'http://store:7000', region: 'eu-west-1', accessKeyId: 'ID', secretAccessKey: 'SECRET'});
  const temporary = {...shell, AWS_SESSION_TOKEN: 'T'};
  assert.deepEqual(awsOptions('S3A://b', {region: 'x', endpoint: 'http://y'}, temporary, own), {endpoint: 'http://y', region: 'x', accessKeyId: 'ID', secretAccessKey: 'SECRET', sessionToken: 'T'});
  assert.deepEqual(awsOptions('s3://b', {}, {AWS_PROFILE: 'work', AWS_DEFAULT_REGION: 'r', AWS_CA_BUNDLE: '/ca.pem'}, own), {region: 'r', caFile: '/ca.pem', profile: 'work'});
  for (const chosen of [{profile: 'p'}, {anonymous: 'true'}, {accessKeyId: 'A', secretAccessKey: 'B'}]) {
    assert.deepEqual(awsOptions('s3://b', chosen, shell, own), {endpoint: 'http://store:7000', region: 'eu-west-1', ...chosen}, 'keys are never mixed');
  }
});

test('other stores take nothing, and a shell that speaks to Weir itself says nothing of stores', () => {
  assert.deepEqual(awsOptions('file:///data', {}, shell, own), {});
  assert.deepEqual(awsOptions('s3://b', {region: 'r'}, {...shell, AWS_ENDPOINT_URL_S3: own}, own), {region: 'r'});
  assert.deepEqual(awsOptions('s3://b', {}, {...shell, AWS_ENDPOINT_URL_S3: 'http://localhost:9000/'}, own), {});
  assert.deepEqual(awsOptions('s3://b', {}, {}, own), {});
});
