/** What mutations begin with: every recording of a stock client, and a request of each operation that none of them sends. */
import {globSync, readFileSync} from 'node:fs';
import path from 'node:path';
import {host} from './machine.ts';
import {type FuzzRequest, parseQueryText, parseRecorded} from './request.ts';

const recordings = path.join(import.meta.dirname, '../../fixtures/s3-requests');

/** The bucket of a recording has its client's name. */
function recorded(file: string): FuzzRequest {
  const request = parseRecorded(readFileSync(path.join(recordings, file)));
  const bucket = path.dirname(file);
  request.path = request.path.replace(`/${bucket}`, '/plain');
  request.headers = request.headers.map(([name, value]) => [name, name.toLowerCase() === 'host' ? host : /copy-source$/i.test(name) ? value.replace(bucket, 'plain') : value]);
  return request;
}

const tagging = '<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>';
const acl = '<AccessControlPolicy><Owner><ID>x</ID></Owner><AccessControlList><Grant>' +
  '<Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="Group"><URI>http://acs.amazonaws.com/groups/global/AllUsers</URI></Grantee>' +
  '<Permission>READ</Permission></Grant></AccessControlList></AccessControlPolicy>';
const policy = JSON.stringify({
  Version: '2012-10-17',
  Statement: [{Sid: 's', Effect: 'Allow', Principal: {AWS: '*'}, Action: ['s3:GetObject', 's3:Put*'], Resource: 'arn:aws:s3:::plain/${aws:username}/*', Condition: {IpAddress: {'aws:SourceIp': '10.0.0.0/8'},
    StringLike: {'aws:Referer': 'a*'}}}],
});
const website = '<WebsiteConfiguration><IndexDocument><Suffix>index.html</Suffix></IndexDocument><RoutingRules><RoutingRule><Condition><KeyPrefixEquals>d/</KeyPrefixEquals></Condition><Redirect>' +
  '<ReplaceKeyPrefixWith>e/</ReplaceKeyPrefixWith></Redirect></RoutingRule></RoutingRules></WebsiteConfiguration>';
const lifecycle = '<LifecycleConfiguration><Rule><ID>r</ID><Status>Enabled</Status><Filter><And><Prefix>p/</Prefix><Tag><Key>a</Key><Value>b</Value></Tag></And></Filter><Expiration><Days>1</Days></Expiration>' +
  '<NoncurrentVersionExpiration><NoncurrentDays>3</NoncurrentDays></NoncurrentVersionExpiration>' +
  '<AbortIncompleteMultipartUpload><DaysAfterInitiation>2</DaysAfterInitiation></AbortIncompleteMultipartUpload></Rule></LifecycleConfiguration>';
const cors = '<CORSConfiguration><CORSRule><ID>i</ID><AllowedMethod>PUT</AllowedMethod><AllowedOrigin>http://*.example.com</AllowedOrigin><AllowedHeader>*</AllowedHeader>' +
  '<ExposeHeader>ETag</ExposeHeader><MaxAgeSeconds>5</MaxAgeSeconds></CORSRule></CORSConfiguration>';
const retention = '<Retention><Mode>GOVERNANCE</Mode><RetainUntilDate>2026-11-22T00:00:00Z</RetainUntilDate></Retention>';
const notification = '<NotificationConfiguration><QueueConfiguration><Id>i</Id><Queue>arn:aws:sqs:us-east-1:1:q</Queue><Event>s3:ObjectCreated:*</Event></QueueConfiguration></NotificationConfiguration>';
const deletion = '<Delete><Quiet>false</Quiet><Object><Key>k</Key></Object><Object><Key>dir/a</Key><VersionId>null</VersionId></Object></Delete>';

/** A document for each sub-resource that takes one: bodies are exchanged for them, too. */
export const documents: readonly string[] = [
  tagging, acl, policy, website, lifecycle, cors, retention, notification, deletion,
  '<VersioningConfiguration><Status>Suspended</Status></VersioningConfiguration>', '<LegalHold><Status>ON</Status></LegalHold>',
    '<OwnershipControls><Rule><ObjectOwnership>BucketOwnerEnforced</ObjectOwnership></Rule></OwnershipControls>',
  '<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention><Mode>GOVERNANCE</Mode><Days>1</Days></DefaultRetention></Rule></ObjectLockConfiguration>',
  '<PublicAccessBlockConfiguration><BlockPublicAcls>true</BlockPublicAcls><IgnorePublicAcls>false</IgnorePublicAcls></PublicAccessBlockConfiguration>',
  '<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>AES256</SSEAlgorithm></ApplyServerSideEncryptionByDefault></Rule></ServerSideEncryptionConfiguration>',
  '<RequestPaymentConfiguration><Payer>Requester</Payer></RequestPaymentConfiguration>', '<AccelerateConfiguration><Status>Suspended</Status></AccelerateConfiguration>', '<BucketLoggingStatus/>',
  '<CreateBucketConfiguration><LocationConstraint>eu-west-1</LocationConstraint><Tags><Tag><Key>a</Key><Value>b</Value></Tag></Tags></CreateBucketConfiguration>',
  '<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>"2f5d9d3fb5efe9a7b5e5b5cd2d4f3b6c"</ETag></Part></CompleteMultipartUpload>',
];
const documentOf = (root: string): string => documents.find((document) => document.startsWith(`<${root}`)) ?? '';

function of(method: string, target: string, headers: Readonly<Record<string, string>> = {}, body: string | Buffer = ''): FuzzRequest {
  const [at = '', query = ''] = target.split('?');
  return {method, path: at, query: parseQueryText(query), headers: [['Host', host], ...Object.entries(headers)], body: Buffer.from(body), framing: 'right'};
}

const boundary = 'xYzZY';
const formPolicy = Buffer.from(JSON.stringify({expiration: '2026-11-22T00:00:00Z', conditions: [{bucket: 'plain'}, ['starts-with', '$key', ''], ['starts-with', '$x-amz-meta-a', ''], ['content-length-range', 0,
  1000]]})).toString('base64');
const form = Object.entries({
  key: 'form/${filename}', 'x-amz-meta-a': 'b', success_action_status: '201', policy: formPolicy, 'x-amz-algorithm': 'AWS4-HMAC-SHA256', 'x-amz-credential': '', 'x-amz-date': '', 'x-amz-signature': '',
}).map(([name, value]) => `--${boundary}\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`).join('') +
  `--${boundary}\r\nContent-Disposition: form-data; name="file"; filename="f.txt"\r\nContent-Type: text/plain\r\n\r\nbytes of a form\r\n--${boundary}--\r\n`;

const frames = {frames: [{data: Buffer.from('x'.repeat(70))}, {data: Buffer.from('tail')}], trailers: [] as [string, string][]};
const streamed = (word: string, more: Readonly<Record<string, string>>, trailers: [string, string][]): FuzzRequest => ({
  ...of('PUT', '/plain/streamed', {'x-amz-content-sha256': word, 'content-encoding': 'aws-chunked', ...more}), body: {frames: [...frames.frames], trailers},
});

const written: readonly FuzzRequest[] = [
  of('GET', '/'), of('GET', '/?max-buckets=1&prefix=p'), of('PUT', '/another', {'x-amz-acl': 'private', 'x-amz-object-ownership': 'ObjectWriter'}, documentOf('CreateBucketConfiguration')), of('HEAD', '/plain'),
    of('DELETE', '/another'),
  of('PUT', '/plain?tagging', {}, tagging), of('PUT', '/plain/k?tagging', {}, tagging), of('PUT', '/plain?acl', {}, acl), of('PUT', '/plain/k?acl',
    {'x-amz-grant-read': 'uri="http://acs.amazonaws.com/groups/global/AllUsers"'}),
  of('PUT', '/plain?policy', {}, policy), of('PUT', '/plain?website', {}, website), of('PUT', '/plain?lifecycle', {}, lifecycle), of('PUT', '/plain?cors', {}, cors), of('PUT', '/plain?notification', {}, notification),
  of('PUT', '/plain?versioning', {}, documentOf('VersioningConfiguration')), of('PUT', '/plain?ownershipControls', {}, documentOf('OwnershipControls')), of('PUT', '/plain?publicAccessBlock', {},
    documentOf('PublicAccessBlock')),
  of('PUT', '/plain?encryption', {}, documentOf('ServerSideEncryption')), of('PUT', '/plain?requestPayment', {}, documentOf('RequestPayment')), of('PUT', '/plain?accelerate', {}, documentOf('Accelerate')),
  of('PUT', '/plain?logging', {}, documentOf('BucketLogging')), of('PUT', '/locked?object-lock', {}, documentOf('ObjectLockConfiguration')), of('PUT', '/locked/k?retention', {}, retention), of('PUT',
    '/locked/k?legal-hold', {}, documentOf('LegalHold')),
  of('POST', '/versioned?delete', {}, deletion), of('GET', '/versioned?versions&key-marker=a&max-keys=2'), of('GET', '/plain?uploads&delimiter=%2F'), of('GET', '/plain?location'), of('GET', '/plain?policyStatus'),
  of('GET', '/plain?list-type=2&start-after=a&fetch-owner=true&encoding-type=url'), of('GET', '/plain?prefix=dir%2F&delimiter=%2F&marker=dir'), of('GET', '/plain/k?attributes',
    {'x-amz-object-attributes': 'ETag,Checksum,ObjectParts,StorageClass,ObjectSize'}),
  of('GET', '/plain/k', {range: 'bytes=1-3', 'if-match': '*', 'if-modified-since': 'Sat, 21 Nov 2020 17:18:10 GMT'}), of('GET', '/plain/k?response-content-type=text/plain&response-content-disposition=x&partNumber=1'),
  of('PUT', '/plain/copy', {'x-amz-copy-source': '/plain/k', 'x-amz-metadata-directive': 'REPLACE', 'x-amz-meta-c': 'd', 'x-amz-tagging-directive': 'COPY'}), of('PUT', '/plain/up?partNumber=2&uploadId=LIVE',
    {'x-amz-copy-source': 'plain/k', 'x-amz-copy-source-range': 'bytes=0-2'}),
  of('POST', '/plain/up?uploads', {'x-amz-checksum-algorithm': 'CRC32', 'x-amz-checksum-type': 'FULL_OBJECT'}), of('PUT', '/plain/up?partNumber=1&uploadId=LIVE', {}, 'part one'), of('GET',
    '/plain/up?uploadId=LIVE&max-parts=1'),
  of('POST', '/plain/up?uploadId=LIVE', {}, documentOf('CompleteMultipartUpload')), of('DELETE', '/plain/up?uploadId=LIVE'), of('DELETE', '/versioned/k?versionId=LIVE'), of('GET', '/versioned/k?versionId=LIVE'),
  of('PUT', '/locked/new', {'x-amz-object-lock-mode': 'GOVERNANCE', 'x-amz-object-lock-retain-until-date': '2026-11-22T00:00:00Z', 'x-amz-object-lock-legal-hold': 'ON', 'content-md5': 'mXFPMmx8HHdCEuMTf8jrBg=='},
    'locked'),
  of('PUT', '/plain/full', {'x-amz-meta-b': 'c', 'x-amz-tagging': 'a=b&c=d', 'x-amz-acl': 'public-read', 'cache-control': 'no-cache', 'content-disposition': 'inline', 'x-amz-storage-class': 'STANDARD',
    'x-amz-website-redirect-location': '/x',
    'x-amz-checksum-sha256': 'ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=', expires: 'never', 'if-none-match': '*'}, 'abc'),
  of('PUT', '/plain/sse', {'x-amz-server-side-encryption-customer-algorithm': 'AES256', 'x-amz-server-side-encryption-customer-key': 'MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=',
    'x-amz-server-side-encryption-customer-key-md5': 'Yei2bJfdzPMdaNOKF9o75w=='}, 'hidden'),
  of('OPTIONS', '/plain/k', {origin: 'http://a.example.com', 'access-control-request-method': 'PUT', 'access-control-request-headers': 'content-type,x-amz-date'}),
  of('POST', '/plain', {'content-type': `multipart/form-data; boundary=${boundary}`}, form), of('POST', '/', {'content-type': 'application/x-www-form-urlencoded'},
    'Action=AssumeRole&Version=2011-06-15&RoleArn=arn:aws:iam::1:role/r&RoleSessionName=n&DurationSeconds=900'),
  streamed('STREAMING-AWS4-HMAC-SHA256-PAYLOAD', {}, []), streamed('STREAMING-UNSIGNED-PAYLOAD-TRAILER', {'x-amz-trailer': 'x-amz-checksum-crc32'}, [['x-amz-checksum-crc32', 'AAAAAA==']]),
  streamed('STREAMING-UNSIGNED-PAYLOAD-TRAILER', {}, []), streamed('STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER', {'x-amz-trailer': 'x-amz-checksum-crc32'}, [['x-amz-checksum-crc32', 'AAAAAA==']]),
  of('POST', '/plain/k?select&select-type=2', {}, '<SelectObjectContentRequest/>'), of('POST', '/plain/k?restore', {}, '<RestoreRequest><Days>1</Days></RestoreRequest>'), of('GET', '/plain?inventory&id=i'),
    of('PATCH', '/plain/k'),
];

/** Sub-resources in the order of their names make the same seeds on every machine. */
export function seeds(): FuzzRequest[] {
  const files = globSync('*/*.http', {cwd: recordings}).sort();
  return [...written, ...files.map(recorded)];
}
