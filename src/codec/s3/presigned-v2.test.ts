import assert from 'node:assert/strict';
import {createHmac} from 'node:crypto';
import {test} from 'node:test';
import {verifyPresignedV2} from '#codec/s3/presigned-v2.ts';
import {S3Error} from '#codec/s3/s3-error.ts';

const secret = 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY';
const sign = (text: string) => createHmac('sha1', secret).update(text).digest('base64');
const request = {method: 'GET', resource: '/johnsmith/photos/puppy.jpg', headers: ['Host', 'localhost'], secret, nowMs: 1_175_139_600_000};
const refused = (code: string, run: () => unknown) => assert.throws(run, (error) => error instanceof S3Error && error.code === code);

test("the documentation's example", () => {
  const query = [['AWSAccessKeyId', 'AKIAIOSFODNN7EXAMPLE'], ['Signature', 'NpgCjnDzrM+WFzoENXmpNDUsSn8='], ['Expires', '1175139620']] as const;
  verifyPresignedV2({...request, query});
  refused('AccessDenied', () => verifyPresignedV2({...request, query, nowMs: 1_175_139_620_001}));
  refused('SignatureDoesNotMatch', () => verifyPresignedV2({...request, query, method: 'PUT'}));
  refused('SignatureDoesNotMatch', () => verifyPresignedV2({...request, query, secret: 'other'}));
  refused('SignatureDoesNotMatch', () => verifyPresignedV2({...request, query: [...query, ['acl', '']]}));
  for (const signature of [[], [['Signature', 'my-signature'] as const]]) {
    refused('InvalidRequest', () => verifyPresignedV2({...request, query: [...query.filter(([name]) => name !== 'Signature'), ...signature]}));
  }
  refused('AccessDenied', () => verifyPresignedV2({...request, query: query.filter(([name]) => name !== 'Expires')}));
});

test('headers and sub-resources are signed, in headers or hoisted into the query', () => {
  const text = ['PUT', 'bWQ1', 'text/plain', '1175139620', 'x-amz-acl:private', 'x-amz-meta-a:1,2', '/b/k?partNumber=1&uploadId=u'].join('\n');
  const resource = '/b/k';
  const query = [['uploadId', 'u'], ['ignored', 'x'], ['partNumber', '1'], ['Expires', '1175139620'], ['Signature', sign(text)]] as const;
  verifyPresignedV2({...request, method: 'PUT', resource, query, headers: ['X-Amz-Meta-A', '1 ', 'x-amz-acl', 'private', 'x-amz-meta-a', '2', 'content-type', 'text/plain', 'Content-MD5', 'bWQ1']});
  const hoisted = [['x-amz-acl', 'private'], ['x-amz-meta-a', '1,2'], ['content-type', 'text/plain'], ['content-md5', 'bWQ1']] as const;
  verifyPresignedV2({...request, method: 'PUT', resource, query: [...query, ...hoisted]});
});

test('bucket URLs of boto3 ask for `/bucket` and sign `/bucket/`', () => {
  const ask = (resource: string, path: string): void =>
    verifyPresignedV2({...request, headers: [], resource, query: [['prefix', 'p'], ['Expires', '1175139620'], ['Signature', sign(`GET\n\n\n1175139620\n${path}`)]]});
  ask('/bucket', '/bucket/');
  ask('/bucket', '/bucket');
  refused('SignatureDoesNotMatch', () => ask('/bucket/k', '/bucket/k/'));
  refused('SignatureDoesNotMatch', () => ask('/bucket', '/other/'));
});
