import assert from 'node:assert/strict';
import {test} from 'node:test';
import fc from 'fast-check';
import {isKind} from '#base/errors.ts';
import {Digests} from '#model/digests.ts';

const clock = {yield: () => Promise.resolve()};

test('bytes that come in one piece have the digests of those that come in several', async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({minLength: 1, maxLength: 5_000}), fc.nat(5_000), async (bytes, cut) => {
      const whole = await Digests.start(['crc64nvme', 'sha256'], clock, undefined, bytes.length);
      await whole.update(bytes);
      const pieces = await Digests.start(['crc64nvme', 'sha256'], clock, undefined, bytes.length);
      await pieces.update(bytes.subarray(0, Math.min(cut, bytes.length - 1)));
      await pieces.update(bytes.subarray(Math.min(cut, bytes.length - 1)));
      assert.deepEqual(await whole.finish({length: bytes.length}), await pieces.finish({length: bytes.length}));
    }),
  );
});

test('more than was announced is refused, also behind what was all of it', async () => {
  const digests = await Digests.start([], clock, undefined, 3);
  await digests.update(Buffer.from('abc'));
  await digests.update(Buffer.alloc(0));
  await assert.rejects(digests.update(Buffer.from('d')), (error) => isKind(error, 'IncompleteBody'));
});

test('of no bytes at all there are digests, too', async () => {
  const {md5, length} = await (await Digests.start([], clock, undefined, 0)).finish({length: 0});
  assert.deepEqual([md5, length], ['d41d8cd98f00b204e9800998ecf8427e', 0]);
});
