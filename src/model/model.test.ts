import assert from 'node:assert/strict';
import {describe, it} from 'node:test';
import fc from 'fast-check';
import {type ByteString, fromBytes} from '#base/byte-string.ts';
import {isKind} from '#base/errors.ts';
import {formatFreshness, maskOptions, parseFreshness} from '#model/mount.ts';
import {formatPath, isWithin, parsePath} from '#model/path.ts';

const name = fc.uint8Array({maxLength: 12}).map((raw) => fromBytes(raw.map((byte) => (byte === 0 || byte === 0x2f ? 0x2e : byte))));

describe('paths', () => {
  it('are unambiguous for names of any bytes, also empty ones', () => {
    fc.assert(
      fc.property(fc.array(name, {minLength: 1, maxLength: 8}), fc.boolean(), (names, directory) => {
        // A file whose last name is empty would look like a directory; such a path cannot be written without its kind.
        if (!directory && names.at(-1) === '') return;
        const path = parsePath(formatPath({names, kind: directory ? 'directory' : 'file'}), 'file');
        assert.deepEqual(path, {names, kind: directory ? 'directory' : 'file'});
      }),
    );
    assert.deepEqual(parsePath('/' as ByteString), {names: [], kind: 'directory'});
    assert.deepEqual(parsePath('//' as ByteString), {names: [''], kind: 'directory'});
  });

  it('refuse what cannot be a path', () => {
    for (const bad of ['', 'a', 'a/b', '/a\0b']) assert.throws(() => parsePath(bad as ByteString), (error) => isKind(error, 'InvalidPath'));
    assert.throws(() => parsePath(`/${'x'.repeat(1025)}` as ByteString), (error) => isKind(error, 'NameTooLong'));
    assert.throws(() => parsePath('/x'.repeat(6000) as ByteString), (error) => isKind(error, 'NameTooLong'));
    assert.equal(parsePath('/x'.repeat(5000) as ByteString).names.length, 5000);
  });

  it('know what lies within', () => {
    const names = (text: string) => parsePath(text as ByteString).names;
    assert.ok(isWithin(names('/a'), names('/a/b')));
    assert.ok(isWithin(names('/'), names('/a')));
    assert.ok(!isWithin(names('/a'), names('/ab')));
  });
});

describe('mounts', () => {
  it('read and write their freshness', () => {
    for (const text of ['immutable', 'always', 'maxAge=60.0s']) assert.equal(formatFreshness(parseFreshness(text)), text === 'maxAge=60.0s' ? 'maxAge=1m 00s' : text);
    assert.deepEqual(parseFreshness('5m'), {kind: 'maxAge', ms: 300_000});
    assert.deepEqual(parseFreshness('0'), {kind: 'always'});
  });

  it('never show secrets', () => {
    const shown = maskOptions({secretAccessKey: 's1', accessKeyId: 's2', password: 's3', 'fs.sas': 's4', sessionToken: 's5', region: 'r', endpoint: 'e'});
    assert.doesNotMatch(JSON.stringify(shown), /s[1-5]"/);
    assert.equal(shown['region'], 'r');
  });
});
