import assert from 'node:assert/strict';
import {globSync, readFileSync} from 'node:fs';
import path from 'node:path';
import {test} from 'node:test';
import {Coverage} from './coverage.ts';
import {stream} from './forms.ts';
import {fuzz, type Target} from './fuzz.ts';
import {decodeChunked, decodeFrames, targets} from './targets.ts';

function corpusOf(name: string): Buffer[] {
  const folder = path.join(import.meta.dirname, 'corpus', name);
  return globSync('*', {cwd: folder}).sort().map((file) => readFileSync(path.join(folder, file)));
}

for (const [name, target] of Object.entries(targets)) {
  test(`${name} takes its corpus and a few thousand mutations of it`, () => {
    const {finding} = fuzz(target, {executions: 3000, seed: 1, corpus: corpusOf(name)});
    assert.equal(finding, undefined, finding && `${JSON.stringify(finding.input.toString('latin1'))}: ${String(finding.error)}`);
  });
}

/** Fuzzes a decoder with a fault; the fault's input, shrunk. */
function faultOf(faulty: Target): string {
  using coverage = new Coverage();
  const {finding} = fuzz(faulty, {executions: 50_000, seed: 1, coverage});
  assert.ok(finding, 'the planted fault was not found');
  return finding.input.toString('latin1');
}

test('planted: a frame parser that loses pieces of two bytes', () => {
  const {grammar, seeds} = targets['rpc-frames']!;
  const faulty = stream(grammar, seeds, (pieces) => decodeFrames(pieces.filter((piece) => piece.length !== 2)));
  assert.ok(faultOf(faulty).length >= 2);
});

test('planted: a chunk decoder that believes the length of a chunk before it checks it', () => {
  const {grammar, seeds} = targets['s3-chunked']!;
  const faulty = stream(grammar, seeds, (pieces, input) => {
    const [, length] = /^([0-9a-fA-F]+)[\r;]/.exec(Buffer.concat(pieces).toString('latin1')) ?? [];
    const room = new Array<number>(length === undefined ? 0 : Number.parseInt(length, 16));
    return {...decodeChunked(pieces, input), room: room.length};
  }, {headerBytes: 2});
  assert.match(faultOf(faulty), /^..[0-9a-fA-F]{9,}[\r;]/s);
});

test('planted: a query decoder that lets the platform throw at broken escapes', () => {
  const faulty: Target = {...targets['rest-query']!, run: (input) => {
    const escape = /%C3(%..)?/i.exec(input.toString('latin1'));
    if (escape) decodeURIComponent(escape[0]);
    targets['rest-query']!.run(input);
  }};
  assert.match(faultOf(faulty), /%C3/i);
});
