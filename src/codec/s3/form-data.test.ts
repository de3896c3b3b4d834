import assert from 'node:assert/strict';
import {test} from 'node:test';
import fc from 'fast-check';
import {boundaryOf, FormDecoder, fieldBytesMax} from '#codec/s3/form-data.ts';

const boundary = 'xYz';
const form = (fields: readonly (readonly [string, Buffer])[], file: Buffer, end = `\r\n--${boundary}--\r\n`): Buffer =>
  Buffer.concat([
    ...fields.flatMap(([name, value]) => [Buffer.from(`--${boundary}\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n`), value, Buffer.from('\r\n')]),
    Buffer.from(`--${boundary}\r\nContent-Disposition: form-data; name="file"; filename="a \\"b\\".txt"\r\nContent-Type: text/plain\r\n\r\n`), file, Buffer.from(end),
  ]);

function decode(body: Buffer, cuts: readonly number[]): {fields: [string, Buffer][]; filename: string; file: Buffer; ended: boolean} {
  const decoder = new FormDecoder(boundary);
  const read = {fields: [] as [string, Buffer][], filename: '', file: Buffer.alloc(0), ended: false};
  const places = [0, ...[...cuts].sort((a, b) => a - b), body.length];
  for (let i = 1; i < places.length; i++) {
    for (const event of decoder.push(body.subarray(places[i - 1], places[i]))) {
      if ('field' in event) read.fields.push([event.field, event.value]);
      else if ('file' in event) read.filename = event.file;
      else if ('data' in event) read.file = Buffer.concat([read.file, event.data]);
      else read.ended = true;
    }
  }
  decoder.finish();
  return read;
}

test('fields and the file come whole, wherever the body is cut', () => {
  const bytes = fc.oneof(fc.uint8Array({maxLength: 40}), fc.constantFrom(...['\r\n', '\r\n--', '\r\n--xY', '--xYz'].map((text) => Buffer.from(text)))).map((value) => Buffer.from(value));
  const safe = bytes.filter((value) => !Buffer.concat([Buffer.from('\r\n'), value]).includes(`\r\n--${boundary}`));
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.stringMatching(/^[a-eg-z][a-z-]{0,8}$/), safe), {maxLength: 4}), safe, fc.array(fc.nat(600), {maxLength: 6}), fc.uint8Array({maxLength: 30}), (fields, file, cuts, behind) => {
      const body = Buffer.concat([form(fields, file), behind]);
      const read = decode(body, cuts.filter((cut) => cut < body.length));
      assert.deepEqual(read.fields, fields);
      assert.deepEqual([read.filename, read.file, read.ended], ['a "b".txt', file, true]);
    }),
  );
});

test('what is no form is refused', () => {
  const refused = (code: string, body: Buffer | string) => assert.throws(() => decode(Buffer.from(body), []), {code});
  refused('MalformedPOSTRequest', form([], Buffer.from('bytes'), ''));
  refused('MalformedPOSTRequest', 'no form');
  refused('MalformedPOSTRequest', `--${boundary}\r\nContent-Type: text/plain\r\n\r\nx\r\n--${boundary}--`);
  refused('InvalidArgument', `--${boundary}\r\nContent-Disposition: form-data; name="key"\r\n\r\nx\r\n--${boundary}--`);
  refused('MaxPostPreDataLengthExceeded', form([['x', Buffer.alloc(fieldBytesMax)]], Buffer.alloc(1)));
  assert.equal(boundaryOf('multipart/form-data; charset=x; boundary="a b"'), 'a b');
  assert.throws(() => boundaryOf('text/plain'), {code: 'PreconditionFailed'});
  assert.throws(() => boundaryOf('multipart/form-data'), {code: 'MalformedPOSTRequest'});
});
