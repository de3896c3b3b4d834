import assert from 'node:assert/strict';
import {createDecipheriv, hash, hkdfSync} from 'node:crypto';
import {test} from 'node:test';
import fc from 'fast-check';
import {customerKeyHeaders, parseCustomerKey} from '#codec/s3/customer-key.ts';
import {S3Error} from '#codec/s3/s3-error.ts';
import {decodeSeal, encodeSeal, keyOfPart, makeSeal, openSeal} from '#codec/s3/seal.ts';
import {PiecesOpener, SealedBytes} from '#codec/s3/sealed-bytes.ts';

const bytes32 = fc.uint8Array({minLength: 32, maxLength: 32});

test('a seal is opened by its key and by no other, and comes back from its text', () => {
  fc.assert(fc.property(bytes32, bytes32, bytes32, fc.constantFrom('whole' as const, 'parts' as const), (key, other, salt, form) => {
    const {seal, contentKey} = makeSeal(key, form, salt);
    const back = decodeSeal(encodeSeal(seal));
    assert.deepEqual({form: back.form, salt: Buffer.from(back.salt), proof: Buffer.from(back.proof)}, {form, salt: Buffer.from(salt), proof: Buffer.from(seal.proof)});
    assert.deepEqual(openSeal(key, back), contentKey);
    if (!Buffer.from(other).equals(key)) assert.equal(openSeal(other, back), undefined);
    assert.ok(!encodeSeal(seal).includes(Buffer.from(key).toString('base64url')) && !encodeSeal(seal).includes(Buffer.from(contentKey).toString('base64url')));
  }));
  for (const broken of ['', '1w', '2w.' + 'A'.repeat(43) + '.' + 'A'.repeat(43), '1x.' + 'A'.repeat(43) + '.' + 'A'.repeat(43)]) assert.throws(() => decodeSeal(broken), {kind: 'Corrupt'});
});

test('bytes are AES-256-CTR from block zero under HKDF-SHA-256: what lies in a store can be opened by other means', () => {
  const [key, salt] = [Buffer.alloc(32, 3), Buffer.alloc(32, 4)];
  const sealed = new SealedBytes(makeSeal(key, 'whole', salt).contentKey, 0).update(Buffer.from('some bytes of an object, longer than a block'));
  const derived = Buffer.from(hkdfSync('sha256', key, salt, 'weir sse-c object 1', 64));
  assert.equal(createDecipheriv('aes-256-ctr', derived.subarray(0, 32), Buffer.alloc(16)).update(sealed).toString(), 'some bytes of an object, longer than a block');
});

test('any range of any parts is opened, however its bytes come', () => {
  const lengths = fc.array(fc.nat(70), {minLength: 1, maxLength: 8});
  fc.assert(fc.property(lengths, fc.nat(1000), fc.nat(1000), fc.array(fc.integer({min: 1, max: 40}), {minLength: 1}), bytes32, (parts, a, b, cuts, key) => {
    const salts = parts.map((_, i) => Buffer.alloc(32, i + 1));
    const plain = parts.map((length, i) => Buffer.alloc(length, 65 + i));
    const sealed = Buffer.concat(plain.map((part, i) => new SealedBytes(keyOfPart(key, salts[i]!), 0).update(part)));
    const offsets = [0];
    for (const length of parts) offsets.push(offsets.at(-1)! + length);
    const [from, to] = [a % (sealed.length + 1), b % (sealed.length + 1)].toSorted((x, y) => x - y) as [number, number];
    const opener = new PiecesOpener({offsets, keyOf: (piece) => keyOfPart(key, salts[piece]!)}, from);
    const opened: Uint8Array[] = [];
    for (let at = from, i = 0; at < to; i++) {
      const end = Math.min(to, at + cuts[i % cuts.length]!);
      opened.push(...opener.open(sealed.subarray(at, end)));
      at = end;
    }
    assert.deepEqual(Buffer.concat(opened), Buffer.concat(plain).subarray(from, to));
  }));
});

test('positions beyond 4 GiB of one piece count on', () => {
  const key = Buffer.alloc(32, 9);
  const at = 2 ** 36 + 5;
  const counter = Buffer.alloc(16);
  counter.writeBigUInt64BE(2n ** 32n, 8);
  const whole = createDecipheriv('aes-256-ctr', key, counter).update(Buffer.alloc(64));
  assert.deepEqual(new SealedBytes(key, at).update(Buffer.alloc(59)), whole.subarray(5));
});

test('a request brings a whole key or none, and errors keep quiet about it', () => {
  const key = Buffer.alloc(32, 7).toString('base64');
  const md5 = 'XUmTA1y1LJYnQQzIbUhvJw==';
  const right = parseCustomerKey(headers({algorithm: 'AES256', key, 'key-md5': customerMd5(key)}));
  assert.deepEqual(customerKeyHeaders(right), ['x-amz-server-side-encryption-customer-algorithm', 'AES256', 'x-amz-server-side-encryption-customer-key-MD5', customerMd5(key)]);
  assert.equal(parseCustomerKey(() => undefined), undefined);
  const short = Buffer.alloc(31, 7).toString('base64');
  const wrong = [
    {algorithm: 'AES256'}, {key}, {key, 'key-md5': md5}, {algorithm: 'AES256', key}, {algorithm: 'AES256', key, 'key-md5': md5},
    {algorithm: 'AES256', key: short, 'key-md5': customerMd5(short)}, {algorithm: 'AES192', key, 'key-md5': md5},
  ];
  for (const request of wrong) {
    assert.throws(() => parseCustomerKey(headers(request)), (error) => error instanceof S3Error && error.status === 400 && !JSON.stringify([error.message, error.fields]).includes(key.slice(0, 12)));
  }
});

const headers = (fields: Readonly<Record<string, string>>) => (name: string) => fields[name.replace('x-amz-server-side-encryption-customer-', '')];
const customerMd5 = (key: string): string => hash('md5', Buffer.from(key, 'base64'), 'base64');
