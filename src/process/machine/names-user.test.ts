/** Programs that change names: files and trees renamed and exchanged, trees removed, links of both kinds, attributes. */
import type {ByteString} from '#base/byte-string.ts';
import type {Instance} from '#process/machine/fixture.test.ts';
import {EmptyDirectory, emptyNames, type Ledger, mount, s3, SymbolicLink, trees} from '#process/machine/ledger.test.ts';

/** The extended attribute that is set. */
export const markName = 'user.mark';

export class NamesUser {
  readonly #ledger: Ledger;
  #marks = 0;

  constructor(ledger: Ledger) {
    this.#ledger = ledger;
  }

  async rename(instance: Instance): Promise<void> {
    const ledger = this.#ledger;
    const [from, to] = [ledger.name(), ledger.name()];
    const [node, replaced] = [ledger.last.get(from), ledger.last.get(to)];
    if (!node || node === replaced || (replaced && ledger.isOpen(replaced))) return;
    const exchange = replaced !== undefined && ledger.random() < 0.3 && !ledger.versioned;
    await ledger.makeParents(instance, to);
    // Where versions are kept, what is replaced becomes one first, behind a delete marker.
    if (replaced && ledger.versioned) ledger.changed((names) => void names.delete(to), true);
    const mark = ledger.changed((names) => {
      const [moved, other] = [names.get(from), names.get(to)];
      if (!moved) return;
      names.delete(from);
      names.set(to, moved);
      if (exchange && other) names.set(from, other);
    }, true);
    ledger.tell(`${exchange ? 'exchange' : 'rename'} ${from} ${to}`);
    await instance.files.rename(ledger.path(from), ledger.path(to), {kind: 'file', ...(exchange ? {replace: false, exchange} : {replace: true})}, mount);
    ledger.answered(instance, mark, false);
  }

  async renameTree(instance: Instance): Promise<void> {
    const ledger = this.#ledger;
    const [from, to] = [ledger.pick(trees), ledger.pick(trees)];
    if (from.startsWith(to) || to.startsWith(from) || [...ledger.last.keys()].some((name) => name.startsWith(to))) return;
    await ledger.makeParents(instance, to);
    await instance.files.makeDirectory(ledger.path(from), {parents: true, existing: 'keep'}, mount);
    const mark = ledger.changed((names) => {
      for (const [name, node] of ledger.last) {
        if (!name.startsWith(from)) continue;
        names.delete(name);
        names.set(to + name.slice(from.length), node);
      }
    });
    ledger.tell(`rename ${from} ${to}`);
    await this.#emptied(instance, to);
    await instance.files.rename(ledger.path(from), ledger.path(to), {kind: 'directory', replace: true}, mount);
    ledger.answered(instance, mark, false);
  }

  async removeTree(instance: Instance): Promise<void> {
    const ledger = this.#ledger;
    const tree = ledger.pick(trees);
    const below = [...ledger.last].filter(([name]) => name.startsWith(tree));
    if (below.length === 0 || below.some(([, node]) => ledger.isOpen(node))) return;
    const durable = ledger.random() < 0.5;
    // Where versions are kept, key by key.
    for (const [name] of ledger.versioned ? below.toSorted(([a], [b]) => (a < b ? -1 : 1)) : []) ledger.changed((names) => void names.delete(name), true);
    const mark = ledger.changed((names) => {
      for (const [name] of below) names.delete(name);
    });
    ledger.tell(`remove ${tree} ${durable ? 's3' : 'mount'}`);
    await instance.files.remove(ledger.path(tree), {kind: 'directory', recursive: true}, durable ? s3 : mount);
    ledger.answered(instance, mark, durable);
  }

  async link(instance: Instance): Promise<void> {
    const ledger = this.#ledger;
    const [from, to] = [ledger.name(), ledger.name()];
    const file = ledger.fileAt(from);
    if (!file || ledger.last.has(to) || ledger.versioned) return;
    await ledger.makeParents(instance, to);
    const mark = ledger.changed((names) => void names.set(to, file));
    ledger.tell(`link ${from} ${to}`);
    await instance.files.link(ledger.path(from), ledger.path(to), mount);
    ledger.answered(instance, mark, false);
  }

  async symlink(instance: Instance): Promise<void> {
    const ledger = this.#ledger;
    const name = ledger.name();
    if (ledger.last.has(name)) return;
    await ledger.makeParents(instance, name);
    const link = new SymbolicLink(`to ${++this.#marks}`);
    const mark = ledger.changed((names) => void names.set(name, link));
    ledger.tell(`symlink ${name} ${link.target}`);
    await instance.files.makeSymlink(ledger.path(name), link.target as ByteString, mount);
    ledger.answered(instance, mark, false);
  }

  async makeDirectory(instance: Instance): Promise<void> {
    const ledger = this.#ledger;
    const name = ledger.pick(emptyNames);
    if (ledger.last.has(name)) return;
    const directory = new EmptyDirectory();
    const mark = ledger.changed((names) => void names.set(name, directory), true);
    ledger.tell(`mkdir ${name}`);
    await instance.files.makeDirectory(ledger.path(name), {existing: 'fail'}, mount);
    ledger.answered(instance, mark, false);
  }

  async removeDirectory(instance: Instance): Promise<void> {
    const ledger = this.#ledger;
    const name = ledger.pick(emptyNames);
    if (!ledger.last.has(name)) return;
    const mark = ledger.changed((names) => void names.delete(name), true);
    ledger.tell(`rmdir ${name}`);
    await instance.files.remove(ledger.path(name), {kind: 'directory'}, mount);
    ledger.answered(instance, mark, false);
  }

  async setMark(instance: Instance): Promise<void> {
    const ledger = this.#ledger;
    const name = ledger.name();
    const file = ledger.fileAt(name);
    if (!file) return;
    const value = `mark ${++this.#marks}`;
    const mark = file.mark.push(value);
    ledger.tell(`mark ${name}, file ${file.number}: ${value}`);
    await instance.files.setAttributes(ledger.path(name), {xattrs: {[markName]: Buffer.from(value)}}, {kind: 'file'}, mount);
    ledger.answered(instance, mark, false);
  }

  /** Directories that are left where no files are, deepest first. */
  async #emptied({files}: Instance, tree: string): Promise<void> {
    const {entries} = await files.list({directory: this.#ledger.path(''), view: 'tree', limit: 1000}, mount);
    const below = entries.map(({key}) => key as string).filter((key) => key.startsWith(tree) && key !== tree && key.endsWith('/'));
    for (const key of below.toReversed()) await files.remove(this.#ledger.path(key), {kind: 'directory'}, mount);
  }
}

