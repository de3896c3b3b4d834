/** Every policy against its table in test/fixtures/eviction: a command a line, and after `=` what it answers. */
import assert from 'node:assert/strict';
import {readdirSync, readFileSync} from 'node:fs';
import path from 'node:path';
import {describe, it} from 'node:test';
import fc from 'fast-check';
import type {ContentId} from '#base/ids.ts';
import {makePolicy} from '#blockstore/eviction/make-policy.ts';
import type {EvictionPolicy, PolicyName} from '#blockstore/eviction/policy.ts';
import {NodeTable} from '#blockstore/index/node-table.ts';

const tables = path.join(import.meta.dirname, '../../../test/fixtures/eviction');
const names: readonly PolicyName[] = ['s3-fifo', 'lru', 'lfu', 'lrfu'];

/** Things by name over a policy and a table of nodes. */
class Bench {
  readonly #nodes = new NodeTable();
  readonly policy: EvictionPolicy;
  readonly #byName = new Map<string, number>();
  readonly #ids = new Map<string, ContentId>();
  readonly #held = new Set<number>();

  constructor(name: PolicyName) {
    this.policy = makePolicy(name, this.#nodes);
  }

  get names(): readonly string[] {
    return [...this.#byName.keys()];
  }

  run(command: string, args: readonly string[]): string {
    const answers: string[] = [];
    if (command === 'evict') {
      for (let i = Number(args[0] ?? 1); i > 0; i--) answers.push(this.#evict());
      return answers.join(' ');
    }
    for (const arg of args) this.#one(command, arg);
    return '';
  }

  #one(command: string, arg: string): void {
    const [name, bytes] = arg.split(':') as [string, string?];
    const node = this.#byName.get(name);
    if (command === 'insert') {
      assert.equal(node, undefined, `${name} is in already`);
      const id = this.#ids.get(name) ?? ((this.#ids.size + 1) as ContentId);
      this.#ids.set(name, id);
      const added = this.#nodes.add(id, 0, 0, Number(bytes ?? 10), 0);
      this.#byName.set(name, added);
      this.policy.insert(added);
      return;
    }
    assert.ok(node !== undefined, `${name} is not in`);
    if (command === 'use') this.policy.use(node);
    else if (command === 'hold') this.#held.add(node);
    else if (command === 'release') this.#held.delete(node);
    else if (command === 'resize') {
      const before = this.#nodes.length.get(node);
      this.#nodes.length.set(node, Number(bytes));
      this.policy.resized(node, Number(bytes) - before);
    } else if (command === 'remove') {
      this.policy.remove(node);
      this.#forget(name, node);
    } else assert.fail(`no command ${command}`);
  }

  #evict(): string {
    const node = this.policy.evict((candidate) => !this.#held.has(candidate));
    if (node === 0) return 'none';
    assert.ok(!this.#held.has(node), 'a victim may be evicted');
    const [name] = [...this.#byName].find(([, other]) => other === node) ?? assert.fail('a victim was in');
    this.#forget(name, node);
    return name;
  }

  #forget(name: string, node: number): void {
    this.#byName.delete(name);
    this.#held.delete(node);
    this.#nodes.release(node);
  }
}

describe('eviction policies', () => {
  for (const file of readdirSync(tables)) {
    it(`does as ${file} says`, () => {
      let bench: Bench | undefined;
      for (const [i, line] of readFileSync(path.join(tables, file), 'utf8').split('\n').entries()) {
        const [said, expected] = line.replace(/#.*/, '').split('=').map((part) => part.trim());
        if (!said) continue;
        const [command, ...args] = said.split(/\s+/) as [string, ...string[]];
        if (command === 'policy') bench = new Bench(args[0] as PolicyName);
        else assert.equal(bench!.run(command, args), expected ?? '', `line ${i + 1}: ${said}`);
      }
    });
  }

  for (const name of names) {
    it(`${name} evicts everything that is in, once, and nothing that is held`, () => {
      const command = fc.tuple(fc.constantFrom('insert', 'insert', 'use', 'hold', 'release', 'resize', 'remove', 'evict'), fc.integer({min: 0, max: 30}), fc.integer({min: 1, max: 1000}));
      fc.assert(
        fc.property(fc.array(command, {maxLength: 200}), (commands) => {
          const bench = new Bench(name);
          for (const [what, thing, bytes] of commands) {
            const there = bench.names.includes(`t${thing}`);
            if (what === 'evict') bench.run('evict', []);
            else if (there !== (what === 'insert')) bench.run(what, [`t${thing}:${bytes}`]);
          }
          const left = bench.names;
          bench.run('release', left);
          assert.deepEqual(bench.run('evict', [String(left.length + 1)]).split(' ').toSorted(), [...left, 'none'].toSorted());
        }),
        {numRuns: 200, seed: 1},
      );
    });
  }
});
