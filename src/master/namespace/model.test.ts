/**
 * The namespace beside a plain tree of Maps under random operations: the same successes and failures, the same tree, and
 * every view of every listing the same as what a sorted array of all keys gives.
 */
import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import {type ByteString, prefixEnd} from '#base/byte-string.ts';
import {type ErrorKind, WeirError} from '#base/errors.ts';
import type {ListEntry} from '#contracts/listings.ts';
import {bytes, Fixture, path} from '#master/namespace/fixture.test.ts';
import {list} from '#master/namespace/list.ts';
import {makeDirectory} from '#master/namespace/make-directory.ts';
import {makeSymlink} from '#master/namespace/make-symlink.ts';
import {putFile} from '#master/namespace/put-file.ts';
import {remove, removeMarker} from '#master/namespace/remove.ts';
import {rename} from '#master/namespace/rename.ts';
import {forgetTombstone, listTombstones, reapTombstone} from '#master/namespace/tombstones.ts';
import {usageOfAll} from '#master/namespace/usage.ts';
import {isWithin, parsePath, type Path} from '#model/path.ts';

interface Node {
  kind: 'file' | 'directory' | 'symlink';
  mark?: string;
  implied?: boolean;
  /** By entry name: directories end in `/`. */
  readonly children: Map<string, Node>;
}

class Refused extends Error {
  readonly kind: ErrorKind;
  constructor(kind: ErrorKind) {
    super(kind);
    this.kind = kind;
  }
}

const directoryNode = (implied: boolean): Node => ({kind: 'directory', children: new Map(), ...(implied ? {implied} : {})});

/** What the namespace should be. Every method either throws Refused before it changes anything, or succeeds. */
class Model {
  readonly root = directoryNode(false);

  find(names: readonly string[]): Node | undefined {
    let node: Node | undefined = this.root;
    for (const name of names) node = node?.children.get(`${name}/`);
    return node;
  }

  parent(target: Path, missing: 'implied' | 'explicit' | 'none'): Node {
    const above = target.names.slice(0, -1);
    const existing = above.findIndex((_, i) => !this.find(above.slice(0, i + 1)));
    if (existing >= 0) {
      const blocked = this.find(above.slice(0, existing))!.children.has(above[existing]!);
      if (missing !== 'implied' && blocked) throw new Refused('NotADirectory');
      if (missing === 'none') throw new Refused('NotFound');
    }
    let node = this.root;
    for (const name of above) {
      const next = node.children.get(`${name}/`) ?? directoryNode(missing === 'implied');
      node.children.set(`${name}/`, next);
      node = next;
    }
    return node;
  }

  vanish(names: readonly string[]): void {
    for (let depth = names.length; depth > 0; depth--) {
      const node = this.find(names.slice(0, depth))!;
      if (!node.implied || node.children.size > 0) return;
      this.find(names.slice(0, depth - 1))!.children.delete(`${names[depth - 1]}/`);
    }
  }

  put(target: Path, mark: string, parents: 'implied' | 'none'): void {
    const name = target.names.at(-1)!;
    if (target.kind === 'directory') {
      const node = this.find(target.names) ?? directoryNode(false);
      this.parent(target, parents).children.set(`${name}/`, node);
      node.mark = mark;
      delete node.implied;
      return;
    }
    if (name === '') throw new Refused('InvalidPath');
    const above = this.find(target.names.slice(0, -1));
    if (parents === 'none' && above && !above.children.has(name) && above.children.has(`${name}/`)) throw new Refused('IsADirectory');
    this.parent(target, parents).children.set(name, {kind: 'file', mark, children: new Map()});
  }

  link(target: Path): void {
    const name = target.names.at(-1)!;
    if (name === '') throw new Refused('InvalidPath');
    const above = this.find(target.names.slice(0, -1));
    if (above?.children.has(name)) throw new Refused('AlreadyExists');
    if (above?.children.has(`${name}/`)) throw new Refused('IsADirectory');
    this.parent(target, 'none').children.set(name, {kind: 'symlink', children: new Map()});
  }

  makeDirectory(target: Path, parents: boolean, keep: boolean): void {
    const name = target.names.at(-1)!;
    const node = this.find(target.names);
    if (node && !keep) throw new Refused('AlreadyExists');
    if (node) {
      delete node.implied;
      return;
    }
    if (this.find(target.names.slice(0, -1))?.children.has(name)) throw new Refused('AlreadyExists');
    this.parent(target, parents ? 'explicit' : 'none').children.set(`${name}/`, directoryNode(false));
  }

  entry(target: Path): string {
    const above = this.find(target.names.slice(0, -1));
    const name = target.names.at(-1)!;
    if (above && target.kind !== 'file' && above.children.has(`${name}/`)) return `${name}/`;
    if (above && target.kind !== 'directory' && above.children.has(name)) return name;
    if (!above && target.kind !== 'file') this.parent(target, 'none');
    throw new Refused('NotFound');
  }

  remove(target: Path, recursive: boolean): void {
    const entry = this.entry(target);
    const above = this.find(target.names.slice(0, -1))!;
    if (above.children.get(entry)!.children.size > 0 && !recursive) throw new Refused('DirectoryNotEmpty');
    above.children.delete(entry);
    this.vanish(target.names.slice(0, -1));
  }

  removeMarker(target: Path): void {
    const node = this.find(target.names);
    if (!node || (node.mark === undefined && node.children.size > 0)) return;
    delete node.mark;
    node.implied = true;
    this.vanish(target.names);
  }

  rename(from: Path, to: Path, replace: boolean): void {
    const entry = this.entry(from);
    const above = this.find(from.names.slice(0, -1))!;
    const node = above.children.get(entry)!;
    const directory = node.kind === 'directory';
    const name = to.names.at(-1)!;
    if (!directory && name === '') throw new Refused('InvalidPath');
    const toEntry = directory ? `${name}/` : name;
    const toAbove = this.find(to.names.slice(0, -1));
    const target = toAbove?.children.get(toEntry);
    if (target === node) return;
    if (directory && isWithin(from.names, to.names)) throw new Refused('InvalidArgument');
    if ((directory || to.kind !== 'file') && toAbove?.children.has(directory ? name : `${name}/`)) {
      throw new Refused(!replace ? 'AlreadyExists' : directory ? 'NotADirectory' : 'IsADirectory');
    }
    if (target && !replace) throw new Refused('AlreadyExists');
    if (target && target.children.size > 0) throw new Refused('DirectoryNotEmpty');
    const parent = this.parent(to, 'none');
    above.children.delete(entry);
    parent.children.set(toEntry, node);
    this.vanish(from.names.slice(0, -1));
  }

  /** Every entry by its full key, and whether it is a key in S3's sense. */
  all(): {key: string; node: Node; isKey: boolean}[] {
    const found: {key: string; node: Node; isKey: boolean}[] = [];
    const visit = (node: Node, prefix: string) => {
      for (const [name, child] of node.children) {
        const key = prefix + name;
        const isKey = child.kind !== 'directory' || child.mark !== undefined || (!child.implied && child.children.size === 0);
        found.push({key, node: child, isKey});
        visit(child, key);
      }
    };
    visit(this.root, '');
    return found.sort((a, b) => (a.key < b.key ? -1 : 1));
  }
}

const names = ['a', 'a+1', 'foo', 'foo+1', 'foo.', 'b', '', '.', '..', '\x01', '\xff', '\xff\xff', 'n'.repeat(1024)];
const name = fc.constantFrom(...names);
const somePath = fc.record({names: fc.array(name, {minLength: 1, maxLength: 4}), slash: fc.boolean()})
  .map(({names: parts, slash}) => ({names: parts as ByteString[], kind: slash || parts.at(-1) === '' ? 'directory' : 'file'}) as Path);
const eitherPath = somePath.chain((target) => fc.constantFrom(target, target, {...target, kind: target.kind === 'file' ? 'either' : target.kind} as Path));

const step = fc.oneof(
  {weight: 4, arbitrary: fc.record({do: fc.constant('put' as const), at: somePath, parents: fc.constantFrom('implied' as const, 'implied' as const, 'none' as const)})},
  fc.record({do: fc.constant('mkdir' as const), at: somePath, parents: fc.boolean(), keep: fc.boolean()}),
  fc.record({do: fc.constant('link' as const), at: somePath}),
  fc.record({do: fc.constant('remove' as const), at: eitherPath, recursive: fc.boolean()}),
  fc.record({do: fc.constant('unmark' as const), at: somePath}),
  {weight: 2, arbitrary: fc.record({do: fc.constant('rename' as const), at: eitherPath, to: eitherPath, replace: fc.boolean(), prefix: fc.boolean()})},
  fc.record({do: fc.constant('reap' as const), limit: fc.integer({min: 1, max: 3})}),
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

let mark = 0;

function apply(space: Fixture, model: Model, what: Step): void {
  const label = `e${mark++}`;
  const outcome = (run: () => unknown): string => {
    try {
      run();
      return 'done';
    } catch (error) {
      if (error instanceof WeirError || error instanceof Refused) return error.kind;
      throw error;
    }
  };
  const both = (real: Parameters<Fixture['run']>[0], expected: () => void) => {
    const wanted = outcome(expected);
    assert.equal(outcome(() => space.run(real)), wanted, JSON.stringify(what));
  };
  switch (what.do) {
    case 'put': return both((tx, op) => putFile(tx, op, what.at, {content: space.content('elsewhere', label), parents: what.parents}), () => model.put(what.at, label, what.parents));
    case 'mkdir': return both((tx, op) => makeDirectory(tx, op, what.at, {parents: what.parents, existing: what.keep ? 'keep' : 'fail'}), () => model.makeDirectory(what.at, what.parents, what.keep));
    case 'link': return both((tx, op) => makeSymlink(tx, op, what.at, bytes('to')), () => model.link(what.at));
    case 'remove': return both((tx, op) => remove(tx, op, what.at, {recursive: what.recursive}), () => model.remove(what.at, what.recursive));
    case 'unmark': return both((tx, op) => removeMarker(tx, op, what.at, {}), () => model.removeMarker(what.at));
    case 'rename': return both(
      (tx, op) => rename(tx, op, what.at, what.to, {replace: what.replace, trees: what.prefix ? 'prefix' : 'follow'}),
      () => model.rename(what.at, what.to, what.replace),
    );
    case 'reap': return space.run((tx) => {
      for (const {id} of listTombstones(tx)) if (reapTombstone(tx, id, what.limit)) forgetTombstone(tx, id);
    });
  }
}

function compareTrees(space: Fixture, model: Model): void {
  const all = model.all();
  const found = list(space.store, {directory: bytes('/'), limit: 10_000, view: 'tree'}).entries as Extract<ListEntry, {info: unknown}>[];
  const shownTree = found.map(({key, info}) => [key, info.path, info.inode.kind, info.inode.content?.etag, info.inode.implied]);
  assert.deepEqual(shownTree, all.map(({key, node}) => [key, `/${key}`, node.kind, node.mark, node.implied]));
}

/** What is counted with the entries is what a listing finds. */
function compareSubdirectories(space: Fixture): void {
  const entries = list(space.store, {directory: bytes('/'), limit: 10_000, view: 'tree'}).entries as Extract<ListEntry, {info: unknown}>[];
  const directories = entries.map(({info}) => info).filter(({inode}) => inode.kind === 'directory');
  for (const {path, inode, subdirectories} of directories) {
    assert.equal(subdirectories, directories.filter(other => other.inode.parent === inode.id && other.inode.id !== inode.id).length, `subdirectories of ${path}`);
  }
}

function compareUsage(space: Fixture, model: Model): void {
  for (const {id} of listTombstones(space.store)) while (!space.run((tx) => reapTombstone(tx, id, 2)));
  const all = model.all();
  const files = all.filter(({node}) => node.kind !== 'directory').length;
  assert.deepEqual(usageOfAll(space.store), {files, directories: all.length - files + 1, bytes: all.filter(({node}) => node.mark).length * 10});
  const inodes = space.store.keys.filter((key) => key.startsWith('i')).length;
  assert.equal(inodes, all.length + 1, 'no inode is left over');
  assert.equal(space.store.keys.filter((key) => key.startsWith('e')).length, all.length, 'no entry is left over');
}

interface Question {
  readonly directory: readonly string[];
  readonly view: 'keys' | 'children' | 'tree';
  readonly prefix: string;
  readonly after: string | undefined;
  readonly delimiter: string | undefined;
  readonly limit: number;
}

/** What S3's documentation says, in the plainest way: all keys, filtered, then folded. */
function expected(model: Model, question: Question): string[] | undefined {
  const {directory, view, prefix, after} = question;
  if (!model.find(directory)) return undefined;
  const start = directory.map((part) => `${part}/`).join('');
  let keys = model.all().filter(({key, isKey}) => key.startsWith(start) && key !== start && (view !== 'keys' || isKey)).map(({key}) => key.slice(start.length));
  if (view === 'children') keys = keys.filter((key) => !key.slice(0, -1).includes('/') || /^[^/]*[/]$/.test(key));
  keys = keys.filter((key) => key.startsWith(prefix) && (after === undefined || key > after));
  if (view !== 'keys' || question.delimiter === undefined) return keys;
  const {delimiter} = question;
  const folded = keys.map((key) => {
    const at = key.indexOf(delimiter, prefix.length);
    return at < 0 ? key : `${key.slice(0, at + delimiter.length)}*`;
  });
  return [...new Set(folded)].filter((key) => !(after !== undefined && key === `${after}*`));
}

function ask(space: Fixture, question: Question): string[] {
  const {prefix, delimiter, limit, view} = question;
  const directory = bytes(`/${question.directory.map((part) => `${part}/`).join('')}`);
  const keys: string[] = [];
  let after = question.after;
  let previous: string | undefined;
  for (;;) {
    const page = list(space.store, {directory, view, limit, prefix: bytes(prefix), ...(after === undefined ? {} : {after: bytes(after)}), ...(delimiter === undefined ? {} : {delimiter: bytes(delimiter)})});
    assert.ok(page.entries.length <= limit);
    keys.push(...page.entries.map((entry) => ('folded' in entry ? `${entry.key}*` : entry.key)));
    if (page.next === undefined) return keys;
    assert.equal(page.entries.length, limit);
    assert.ok(previous === undefined || page.next > previous, 'pages go forward');
    after = previous = page.next;
  }
}

const fragment = fc.array(fc.oneof(name, fc.constant('/'), fc.constant('o')), {maxLength: 5}).map((parts) => parts.join(''));
const key = fc.array(name, {minLength: 1, maxLength: 4}).chain((parts) => fc.constantFrom(parts.join('/'), `${parts.join('/')}/`));
const question: fc.Arbitrary<Question> = fc.record({
  directory: fc.oneof({weight: 3, arbitrary: fc.constant([] as string[])}, fc.array(name, {minLength: 1, maxLength: 2})),
  view: fc.constantFrom('keys' as const, 'keys' as const, 'children' as const, 'tree' as const),
  prefix: fc.oneof(fc.constant(''), fragment, key, key.map((text) => text.slice(0, 2))),
  after: fc.option(fc.oneof(fragment, key), {nil: undefined}),
  delimiter: fc.option(fc.constantFrom('/', '/', 'o', 'o/', '+1', '\xff'), {nil: undefined}),
  limit: fc.integer({min: 1, max: 4}),
});

test('random operations give the tree that a plain tree gives, and every listing of it', () => {
  fc.assert(
    fc.property(fc.array(step, {maxLength: 40, size: 'max'}), fc.array(question, {minLength: 8, maxLength: 16, size: 'max'}), (steps, questions) => {
      const space = new Fixture();
      const model = new Model();
      for (const what of steps) apply(space, model, what);
      compareTrees(space, model);
      compareSubdirectories(space);
      for (const one of questions) {
        const wanted = expected(model, one);
        if (!wanted) assert.throws(() => ask(space, one), (error) => error instanceof WeirError && error.kind !== 'Internal');
        else assert.deepEqual(ask(space, one), wanted, JSON.stringify(one));
      }
      compareUsage(space, model);
    }),
    {numRuns: 300},
  );
});

test('a key greater than all others ends a listing', () => {
  assert.equal(prefixEnd(bytes('\xff/')), '\xff0');
  const space = new Fixture();
  space.run((tx, op) => putFile(tx, op, path('/\xff\xff'), {content: space.content('x')}));
  assert.deepEqual(ask(space, {directory: [], view: 'keys', prefix: '', after: undefined, delimiter: '\xff', limit: 1}), ['\xff*']);
  assert.equal(parsePath(bytes('/a/')).kind, 'directory');
});
