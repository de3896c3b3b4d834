import assert from 'node:assert/strict';
import {describe, it} from 'node:test';
import {WeirError} from '#base/errors.ts';
import {completionTable} from '#cli/completion.ts';
import type {CliEnvironment, UpOptions} from '#cli/environment.ts';
import {pairMountOptions} from '#cli/instance.ts';
import {createProgram, runProgram} from '#cli/program.ts';
import {systemContext} from '#contracts/context.ts';

function environment(overrides: Partial<CliEnvironment> = {}) {
  const said = {out: '', err: '', up: undefined as UpOptions | undefined};
  const env = {
    terminal: {
      out: (text: string | Uint8Array) => {
        said.out += Buffer.from(text as string).toString();
        return Promise.resolve();
      },
      err: (text: string) => void (said.err += text),
      input: (async function* () {})(),
      interactive: false,
      columns: 80,
    },
    version: '1.2.3',
    workingDirectory: '/',
    variables: {},
    context: systemContext,
    connect: () => Promise.reject(new WeirError('Unavailable', 'no instance is running at /home/x')),
    instance: () => ({
      home: '/home/x',
      run: (options: UpOptions) => {
        said.up = options;
        return Promise.resolve();
      },
    }),
    ...overrides,
  } as unknown as CliEnvironment;
  return {env, said};
}

describe('the command line', () => {
  it('answers 2 and says where help is, for wrong use', async () => {
    for (const args of [['nonsense'], ['fs', 'nonsense'], ['fs', 'ls', '--nonsense'], ['mount', 'add', '/only-one']]) {
      const {env, said} = environment();
      assert.equal(await runProgram(env, args), 2, args.join(' '));
      assert.match(said.err, /--help/);
    }
  });

  it('answers 1 with a code and what to do next when something fails', async () => {
    const {env, said} = environment();
    assert.equal(await runProgram(env, ['fs', 'ls', '/']), 1);
    assert.equal(said.err, 'weir: no instance is running at /home/x (Unavailable); is the instance running? (weir status)\n');
  });

  it('has help with an example for every command', async () => {
    const {env} = environment();
    const leaves: string[][] = [];
    const visit = (command: ReturnType<typeof createProgram>, path: string[]) => {
      if (command.commands.length === 0) leaves.push(path);
      for (const child of command.commands) visit(child as ReturnType<typeof createProgram>, [...path, child.name()]);
    };
    visit(createProgram(env), []);
    assert.ok(leaves.length > 30);
    for (const path of leaves) {
      const {env: fresh, said} = environment();
      assert.equal(await runProgram(fresh, [...path, '--help']), 0);
      assert.match(said.out, /Example:/, path.join(' '));
      assert.match(said.out, /--json/, path.join(' '));
      assert.doesNotMatch(said.out, /default: [{[]/, path.join(' '));
    }
  });

  it('gives mounts their own options', async () => {
    const {env, said} = environment();
    const args = ['up', 's3://a/b=/x', '-o', 'region=r', '-o', 'maxAge=5m', 'file:///data', '-oreadOnly=true', '--s3-port', '0', '--disk', '/ssd:1GiB', '--json'];
    assert.equal(await runProgram(env, args), 0);
    assert.deepEqual(said.up?.uris, [
      {uri: 's3://a/b', path: '/x', options: {region: 'r', maxAge: '5m'}},
      {uri: 'file:///data', options: {readOnly: 'true'}},
    ]);
    assert.deepEqual(said.up?.disks, [{directory: '/ssd', quotaBytes: 1 << 30}]);
    assert.equal(said.up?.s3Port, 0);
  });

  it('refuses an option that stands before its URI', () => {
    assert.throws(() => pairMountOptions(['up', '-o', 'a=b', 's3://x'], ['s3://x']), /after/);
  });

  it('completes every command and its options', () => {
    const {env} = environment();
    const entries = completionTable(createProgram(env));
    const at = (path: string) => entries.find((entry) => entry.path === path)?.words ?? [];
    assert.ok(at('').includes('explain'));
    assert.ok(at('fs').includes('checksum'));
    assert.ok(at('fs ls').includes('--recursive'));
  });
});
