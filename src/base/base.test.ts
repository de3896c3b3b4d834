import assert from 'node:assert/strict';
import {describe, it} from 'node:test';
import fc from 'fast-check';
import {type ByteString, fromBytes, fromText, isUtf8, prefixEnd, toBytes, toText} from '#base/byte-string.ts';
import {errorCatalogue, WeirError} from '#base/errors.ts';
import {KeyedMutex} from '#base/keyed-mutex.ts';
import {formatDuration, formatSize, parseDuration, parseSize} from '#base/units.ts';

const bytes = fc.uint8Array({maxLength: 40});

describe('ByteString', () => {
  it('orders as bytes order', () => {
    fc.assert(
      fc.property(bytes, bytes, (a, b) => {
        const order = Buffer.compare(a, b);
        const [left, right] = [fromBytes(a), fromBytes(b)];
        assert.equal(left < right ? -1 : left > right ? 1 : 0, order);
      }),
    );
  });

  it('comes back as the same bytes and the same text', () => {
    fc.assert(
      fc.property(bytes, fc.string({unit: 'binary'}), (raw, text) => {
        assert.deepEqual(new Uint8Array(toBytes(fromBytes(raw))), raw);
        assert.equal(toText(fromText(text)), text.toWellFormed());
        assert.ok(isUtf8(fromText(text)));
      }),
    );
    assert.equal(isUtf8('\xff' as ByteString), false);
  });

  it('knows where a prefix ends', () => {
    fc.assert(
      fc.property(bytes, bytes, (prefix, rest) => {
        const start = fromBytes(prefix);
        const end = prefixEnd(start);
        const inside = fromBytes(Buffer.concat([prefix, rest]));
        if (end === undefined) assert.ok(prefix.every((byte) => byte === 0xff));
        else assert.ok(inside < end && end > start);
      }),
    );
  });
});

describe('units', () => {
  it('reads sizes and durations, and refuses the rest', () => {
    assert.equal(parseSize('512MiB'), 512 << 20);
    assert.equal(parseSize('1.5 k'), 1536);
    assert.equal(parseDuration('1h30m'), 5_400_000);
    assert.equal(parseDuration('250'), 250);
    for (const bad of ['', 'x', '-1', '1e9', '10 parsecs', '1h and more', '99999999999999999T']) assert.throws(() => parseSize(bad), WeirError, bad);
    for (const bad of ['', 'x', '1 fortnight', '5m!']) assert.throws(() => parseDuration(bad), WeirError, bad);
  });

  it('writes them for people', () => {
    assert.equal(formatSize(0), '0 B');
    assert.equal(formatSize(1536), '1.5 KiB');
    assert.equal(formatSize(250 * 1024 * 1024), '250 MiB');
    assert.equal(formatDuration(250), '250ms');
    assert.equal(formatDuration(3_725_000), '1h 02m');
  });
});

describe('KeyedMutex', () => {
  it('lets one at a time through, in order, and forgets keys nobody wants', async () => {
    const mutex = new KeyedMutex();
    const order: number[] = [];
    let inside = 0;
    await Promise.all(
      [1, 2, 3, 4].map(async (n) => {
        using _turn = await mutex.acquire('k');
        assert.equal(++inside, 1);
        await Promise.resolve();
        order.push(n);
        inside--;
      }),
    );
    assert.deepEqual(order, [1, 2, 3, 4]);
    assert.equal(mutex.heldKeys, 0);
  });

  it('gives a key that nobody has on the spot', async () => {
    const mutex = new KeyedMutex();
    const taken = mutex.take('k');
    assert.ok(taken);
    assert.equal(mutex.take('k'), undefined);
    const next = mutex.acquire('k');
    taken[Symbol.dispose]();
    assert.equal(mutex.take('k'), undefined, 'who waits comes first');
    (await next)[Symbol.dispose]();
    assert.equal(mutex.heldKeys, 0);
  });

  it('does not hold up other keys', async () => {
    const mutex = new KeyedMutex();
    using _first = await mutex.acquire('a');
    using _second = await mutex.acquire('b');
    assert.equal(mutex.heldKeys, 2);
  });
});

describe('the error catalogue', () => {
  it('has an answer for every protocol', () => {
    for (const [kind, row] of Object.entries(errorCatalogue)) {
      assert.ok(row.http >= 400 && row.http < 600, kind);
      assert.match(row.errno, /^E[A-Z]+$/, kind);
      assert.match(row.s3, /^[A-Z]\w+$/, kind);
      assert.match(row.hadoop, /^(java|org)[.]/, kind);
    }
  });
});
