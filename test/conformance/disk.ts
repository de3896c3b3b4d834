/** What every Disk must do: one suite for the real and the simulated one. */
import assert from 'node:assert/strict';
import {describe, test} from 'node:test';
import {type ByteString, fromText, toText} from '#base/byte-string.ts';
import {isKind, type ErrorKind, WeirError} from '#base/errors.ts';
import {type Disk, type FileStat, type PlacedFile, writeNowBytesMax} from '#runtime/disk.ts';

/** Runs `fn` on a disk with an empty directory, and removes that afterwards. */
export type WithDisk = (fn: (disk: Disk, directory: string) => Promise<void>) => Promise<void>;

const text = (value: string): Buffer => Buffer.from(value);
const fails = (kind: ErrorKind, call: Promise<unknown>): Promise<void> => assert.rejects(call, (error) => isKind(error, kind) || assert.fail(`${String(error)}, not ${kind}`));

export function describeDisk(name: string, withDisk: WithDisk): void {
  const it = (what: string, fn: (disk: Disk, directory: string) => Promise<void>): void => test(what, () => withDisk(fn)) as unknown as void;

  describe(`disk ${name}`, () => {
    it('reads what was written, where it was written', async (disk, directory) => {
      await using file = await disk.open(`${directory}/f`, {mode: 'create'});
      await file.write([text('hello '), text(''), text('world')], 10);
      const into = Buffer.alloc(40, 1);
      assert.equal(await file.read(into, 0), 21);
      assert.equal(into.subarray(0, 21).toString(), `${'\0'.repeat(10)}hello world`);
      assert.equal(await file.read(into, 21), 0);
      assert.equal(await file.read(into.subarray(0, 3), 12), 3);
      assert.equal(into.subarray(0, 3).toString(), 'llo');
      const resident = Buffer.alloc(5);
      const count = file.readResident(resident, 10);
      if (count !== undefined) assert.equal(resident.subarray(0, count).toString(), 'hello');
      await file.truncate(13);
      assert.equal((await file.stat()).size, 13);
      const now = file.statNow();
      if (now) assert.deepEqual(now, await file.stat());
      await file.truncate(15);
      assert.equal(await file.read(into, 10), 5);
      assert.equal(into.subarray(0, 5).toString(), 'hel\0\0');
      await file.datasync();
    });

    it('writes many buffers in their order', async (disk, directory) => {
      await using file = await disk.open(`${directory}/f`, {mode: 'exclusive'});
      const buffers = Array.from({length: 3000}, (_, i) => Buffer.alloc(i % 7, i));
      await file.write(buffers, 3);
      const expected = Buffer.concat([Buffer.alloc(3), ...buffers]);
      const into = Buffer.alloc(expected.length + 1);
      assert.equal(await file.read(into, 0), expected.length);
      assert.ok(into.subarray(0, expected.length).equals(expected));
    });

    it('writes on the spot, or not at all', async (disk, directory) => {
      await using file = await disk.open(`${directory}/f`, {mode: 'create'});
      await using durable = await disk.open(`${directory}/f`, {mode: 'write', durable: true});
      assert.equal(file.writeNow(Buffer.alloc(writeNowBytesMax + 1), 0), false);
      assert.equal(durable.writeNow(text('no'), 0), false);
      const into = Buffer.alloc(8);
      let written = 0;
      for (let i = 0; i < 100; i++) {
        const bytes = text(`line ${String(i).padStart(2)}\n`);
        if (file.writeNow(bytes, i * 8)) written++;
        else await file.write([bytes], i * 8);
        assert.equal(await file.read(into, i * 8), 8);
        assert.deepEqual(into, bytes);
      }
      assert.ok(written > 0);
      assert.equal((await file.stat()).size, 800);
      await using unwritable = await disk.open(`${directory}/f`, {mode: 'read'});
      assert.equal(unwritable.writeNow(text('x'), 0), false);
    });

    it('copies from another file, or not at all', async (disk, directory) => {
      await using source = await disk.open(`${directory}/source`, {mode: 'create'});
      const bytes = Buffer.alloc(3_000_000, 'some bytes ');
      await source.write([bytes], 0);
      let copied = 0;
      for (let i = 0; i < 20; i++) {
        await using target = await disk.open(`${directory}/target-${i}`, {mode: 'create'});
        if (!(await target.copyFrom(source.descriptor, 7, 2_500_000, 10))) continue;
        copied++;
        const into = Buffer.alloc(2_500_011);
        assert.equal(await target.read(into, 0), 2_500_010);
        assert.ok(into.subarray(10, 2_500_010).equals(bytes.subarray(7, 2_500_007)));
      }
      assert.ok(copied > 0);
      await using target = await disk.open(`${directory}/short`, {mode: 'create'});
      assert.equal(await target.copyFrom(source.descriptor, 2_999_999, 2, 0), false, 'there are not as many');
    });

    it('opens as it is told', async (disk, directory) => {
      const path = `${directory}/f`;
      await fails('NotFound', disk.open(path, {mode: 'read'}));
      await fails('NotFound', disk.open(path, {mode: 'write'}));
      await fails('NotFound', disk.open(`${directory}/no/f`, {mode: 'create'}));
      await (await disk.open(path, {mode: 'exclusive'})).close();
      await fails('AlreadyExists', disk.open(path, {mode: 'exclusive'}));
      await fails('NotADirectory', disk.open(`${path}/below`, {mode: 'create'}));
      await fails('IsADirectory', disk.open(directory, {mode: 'write'}));
      await using file = await disk.open(path, {mode: 'write'});
      await file.write([text('abc')], 0);
      await using again = await disk.open(path, {mode: 'create', truncate: true});
      assert.equal((await again.stat()).size, 0);
      await using reader = await disk.open(path, {mode: 'read'});
      await assert.rejects(reader.write([text('x')], 0));
      await fails('NameTooLong', disk.open(`${directory}/${'n'.repeat(256)}`, {mode: 'create'}));
    });

    it('keeps to a directory when told to', async (disk, directory) => {
      const beneath = await disk.realPath(directory);
      await disk.makeDirectory(`${directory}/in`);
      await (await disk.open(`${directory}/in/f`, {mode: 'create', beneath})).close();
      await fails('PermissionDenied', disk.open(`${directory}/in/f`, {mode: 'read', beneath: fromText(`${toText(beneath)}/i`)}));
    });

    it('keeps an open file that lost its name', async (disk, directory) => {
      await using file = await disk.open(`${directory}/f`, {mode: 'create'});
      await file.write([text('still here')], 0);
      await disk.unlink(`${directory}/f`);
      await fails('NotFound', disk.stat(`${directory}/f`));
      const into = Buffer.alloc(10);
      assert.equal(await file.read(into, 0), 10);
      assert.equal(into.toString(), 'still here');
    });

    it('punches holes that read as zeros', async (disk, directory) => {
      await using file = await disk.open(`${directory}/f`, {mode: 'create'});
      await file.write([Buffer.alloc(300_000, 7)], 0);
      try {
        await file.punch(65_536, 131_072);
      } catch (error) {
        assert.ok(isKind(error, 'Unsupported'));
        return;
      }
      const into = Buffer.alloc(300_000);
      assert.equal(await file.read(into, 0), 300_000);
      assert.deepEqual([into[65_535], into[65_536], into[196_607], into[196_608]], [7, 0, 0, 7]);
      assert.ok(into.subarray(65_536, 196_608).every((byte) => byte === 0));
      assert.equal((await file.stat()).size, 300_000);
    });

    it('tells data from holes, or calls all of it data', async (disk, directory) => {
      await using file = await disk.open(`${directory}/f`, {mode: 'create'});
      await file.truncate(1_000_000);
      await file.write([Buffer.alloc(65_536, 7)], 524_288);
      const data = await file.seek(0, 'data');
      if (data === 0) return assert.equal(await file.seek(0, 'hole'), 1_000_000);
      assert.equal(data, 524_288);
      assert.deepEqual([await file.seek(0, 'hole'), await file.seek(524_288, 'hole')], [0, 589_824]);
      assert.deepEqual([await file.seek(600_000, 'data'), await file.seek(1_000_000, 'data'), await file.seek(1_000_000, 'hole')], [undefined, undefined, 1_000_000]);
    });

    it('makes, lists and removes directories', async (disk, directory) => {
      await disk.makeDirectory(`${directory}/a/b/c`, {recursive: true});
      await disk.makeDirectory(`${directory}/a/b/c`, {recursive: true});
      await fails('AlreadyExists', disk.makeDirectory(`${directory}/a`));
      await fails('NotFound', disk.makeDirectory(`${directory}/x/y`));
      await (await disk.open(`${directory}/a/größe`, {mode: 'create'})).close();
      assert.deepEqual((await disk.readDirectory(`${directory}/a`)).sort(), ['b', 'größe']);
      const entries = (await Array.fromAsync(disk.scanDirectory(`${directory}/a`))).flat().map((entry) => `${toText(entry.name)} ${entry.kind}`);
      assert.deepEqual(entries.sort(), ['b directory', 'größe file']);
      await fails('DirectoryNotEmpty', disk.removeDirectory(`${directory}/a`));
      await fails('NotADirectory', disk.removeDirectory(`${directory}/a/größe`));
      await fails('NotFound', disk.readDirectory(`${directory}/none`));
      await fails('NotADirectory', disk.readDirectory(`${directory}/a/größe`));
      await disk.removeDirectory(`${directory}/a/b/c`);
      await disk.syncDirectory(`${directory}/a/b`);
      assert.equal((await disk.stat(`${directory}/a/b`)).kind, 'directory');
      await disk.unlink(`${directory}/a/größe`);
    });

    it('writes durably in one call', async (disk, directory) => {
      await using file = await disk.open(`${directory}/f`, {mode: 'exclusive', durable: true});
      await file.write([text('some '), text('bytes')], 0);
      await using again = await disk.open(`${directory}/f`, {mode: 'write', durable: true});
      await again.write([text('more')], 0);
      const into = Buffer.alloc(11);
      assert.equal(await file.read(into, 0), 10);
      assert.equal(into.subarray(0, 10).toString(), 'more bytes');
    });

    it('knows an open directory', async (disk, directory) => {
      await fails('NotFound', disk.openDirectory(`${directory}/d`));
      await disk.makeDirectory(`${directory}/d`);
      await (await disk.open(`${directory}/f`, {mode: 'exclusive'})).close();
      await fails('NotADirectory', disk.openDirectory(`${directory}/f`));
      await using open = await disk.openDirectory(`${directory}/d`);
      if (!open) return;
      assert.ok(open.isThere());
      const name = '\xff \xc3\xb6' as ByteString;
      {
        await using file = await open.open(name, {mode: 'exclusive', durable: true});
        await file.write([text('x')], 0);
        await fails('AlreadyExists', open.open(name, {mode: 'exclusive'}));
        const now = file.statNow();
        if (now) assert.deepEqual(now, await file.stat());
      }
      assert.equal(open.statNow('absent' as ByteString), undefined);
      const named = open.statNow(name);
      if (named) assert.deepEqual(named, await disk.stat(open.at(name)));
      await open.sync();
      assert.deepEqual((await Array.fromAsync(disk.scanDirectory(`${directory}/d`))).flat(), [{name, kind: 'file'}]);
      await disk.rename(`${directory}/f`, open.at(name));
      assert.equal((await disk.stat(open.at(name))).size, 0);
      await disk.unlink(open.at(name));
      await disk.rename(`${directory}/d`, `${directory}/moved`);
      assert.ok(!open.isThere());
      await disk.makeDirectory(`${directory}/d`);
      assert.ok(!open.isThere());
      await disk.removeDirectory(`${directory}/d`);
      await disk.rename(`${directory}/moved`, `${directory}/d`);
      assert.ok(open.isThere());
      await disk.removeDirectory(`${directory}/d`);
      assert.ok(!open.isThere());
      await fails('NotFound', open.open(fromText('g'), {mode: 'create'}));
    });

    it('takes names of any bytes', async (disk, directory) => {
      const path = Buffer.concat([text(`${directory}/`), Buffer.from([0xff, 0x41, 0xc3])]);
      await (await disk.open(path, {mode: 'create'})).close();
      const [entry] = (await Array.fromAsync(disk.scanDirectory(directory))).flat();
      assert.equal(entry?.name, '\xffA\xc3');
      assert.equal((await disk.stat(path)).kind, 'file');
      await disk.unlink(path);
    });

    it('goes deeper than a path in one call of the kernel may be long', async (disk, directory) => {
      const beneath = await disk.realPath(directory);
      const directories: string[] = [];
      for (let path = directory; path.length < 9_000; directories.push(path)) {
        path += `/${'d'.repeat(200)}`;
        await disk.makeDirectory(path);
        await disk.syncDirectory(path);
      }
      const deep = directories.at(-1)!;
      await using file = await disk.open(`${deep}/f`, {mode: 'create'});
      await file.write([text('deep')], 0);
      await (await disk.open(`${deep}/g`, {mode: 'exclusive', beneath})).close();
      await (await disk.open(`${deep}/g`, {mode: 'read', beneath})).close();
      await fails('PermissionDenied', disk.open(`${deep}/g`, {mode: 'read', beneath: fromText(`${toText(beneath)}/other`)}));
      await fails('NotFound', disk.open(`${deep}/none`, {mode: 'read'}));
      assert.equal((await disk.stat(`${deep}/f`)).size, 4);
      await disk.copy(`${deep}/f`, `${deep}/copy`);
      await disk.rename(`${deep}/f`, `${directory}/f`);
      await disk.rename(`${directory}/f`, `${deep}/h`);
      assert.deepEqual((await disk.readDirectory(deep)).sort(), ['copy', 'g', 'h']);
      assert.deepEqual((await Array.fromAsync(disk.scanDirectory(deep))).flat().map(({name}) => name).sort(), ['copy', 'g', 'h']);
      for (const name of ['copy', 'g', 'h']) await disk.unlink(`${deep}/${name}`);
      for (const path of directories.reverse()) await disk.removeDirectory(path);
    });

    it('scans a large directory in batches', async (disk, directory) => {
      await Promise.all(Array.from({length: 1300}, async (_, i) => (await disk.open(`${directory}/${i}`, {mode: 'create'})).close()));
      const batches = await Array.fromAsync(disk.scanDirectory(directory));
      assert.ok(batches.length > 1);
      assert.equal(new Set(batches.flat().map(({name}) => name)).size, 1300);
    });

    it('renames over files and not over what is in use', async (disk, directory) => {
      const write = async (path: string, value: string): Promise<void> => {
        await using file = await disk.open(path, {mode: 'create', truncate: true});
        await file.write([text(value)], 0);
      };
      await write(`${directory}/a`, 'one');
      await write(`${directory}/b`, 'three');
      await disk.rename(`${directory}/a`, `${directory}/b`);
      assert.equal((await disk.stat(`${directory}/b`)).size, 3);
      await fails('NotFound', disk.rename(`${directory}/a`, `${directory}/b`));
      await disk.makeDirectory(`${directory}/full/x`, {recursive: true});
      await fails('IsADirectory', disk.rename(`${directory}/b`, `${directory}/full`));
      await disk.makeDirectory(`${directory}/d`);
      await fails('DirectoryNotEmpty', disk.rename(`${directory}/d`, `${directory}/full`));
      await disk.rename(`${directory}/full`, `${directory}/d`);
      assert.deepEqual(await disk.readDirectory(`${directory}/d`), ['x']);
    });

    it('gives a file a second name, which stays when the first goes', async (disk, directory) => {
      await using file = await disk.open(`${directory}/a`, {mode: 'create'});
      await file.write([text('shared')], 0);
      await disk.link(`${directory}/a`, `${directory}/b`);
      await file.write([text('SH')], 0);
      await fails('AlreadyExists', disk.link(`${directory}/a`, `${directory}/b`));
      await fails('NotFound', disk.link(`${directory}/none`, `${directory}/c`));
      await disk.unlink(`${directory}/a`);
      await using other = await disk.open(`${directory}/b`, {mode: 'read'});
      const into = Buffer.alloc(6);
      assert.equal(await other.read(into, 0), 6);
      assert.equal(into.toString(), 'SHared');
    });

    it('places small files together, each whole or not at all', async (disk, directory) => {
      await using placer = disk.placer()!;
      while (placer.state === 'starting') await disk.stat(directory);
      for (const name of ['drafts', 'a', 'b', 'a/in-the-way']) await disk.makeDirectory(`${directory}/${name}`);
      for (const name of ['drafts/taken', 'b/there', 'b/old']) await (await disk.open(`${directory}/${name}`, {mode: 'exclusive'})).close();
      const file = (draft: string, parent: string, name: string, absent: readonly string[] = []): PlacedFile => ({
        draft: `${directory}/drafts/${draft}`, place: Buffer.from(`${directory}/${parent}/${name}`), directory: `${directory}/${parent}`, bytes: Buffer.alloc(name.length * 1000, name), permissions: 0o640,
        absent: absent.map((each) => `${directory}/${each}`),
      });
      const answers = await placer.place([
        file('1', 'a', 'new', ['a/new', 'b/none']), file('taken', 'a', 'never'), file('3', 'b', 'old'), file('4', 'b', 'fresh', ['a/none', 'b/there']),
        file('5', 'a', 'in-the-way'), file('6', 'none', 'x'), file('7', 'b', ''.padEnd(64, 'x')),
      ]);
      assert.deepEqual(answers.map((answer) => (answer instanceof WeirError ? answer.kind : answer.size)), [3000, 'AlreadyExists', 3000, 'AlreadyExists', 'IsADirectory', 'NotFound', 64_000]);
      for (const [i, name] of [[0, 'a/new'], [2, 'b/old']] as const) {
        assert.deepEqual(answers[i], await disk.stat(`${directory}/${name}`));
        assert.equal((answers[i] as FileStat).mode, 0o640);
      }
      await using placed = await disk.open(`${directory}/b/old`, {mode: 'read'});
      const into = Buffer.alloc(3000);
      assert.equal(await placed.read(into, 0), 3000);
      assert.equal(into.toString(), 'old'.repeat(1000));
      assert.deepEqual(await disk.readDirectory(`${directory}/drafts`), ['taken']);
      assert.deepEqual(await disk.readDirectory(`${directory}/a`).then((names) => names.toSorted()), ['in-the-way', 'new']);
      assert.deepEqual((await placer.place([file('8', 'a', 'later')])).map((answer) => answer instanceof WeirError), [false]);
      await placer[Symbol.asyncDispose]();
    });

    it('copies to a new name only', async (disk, directory) => {
      await using file = await disk.open(`${directory}/a`, {mode: 'create'});
      await file.write([Buffer.alloc(10_000, 3)], 0);
      await disk.copy(`${directory}/a`, `${directory}/b`);
      assert.equal((await disk.stat(`${directory}/b`)).size, 10_000);
      await fails('AlreadyExists', disk.copy(`${directory}/a`, `${directory}/b`));
      await fails('NotFound', disk.copy(`${directory}/none`, `${directory}/c`));
    });

    it('tells the room that is left', async (disk, directory) => {
      const {free, total} = await disk.space(directory);
      assert.ok(free >= 0 && free <= total && total > 0);
    });

    it('gives a lock to one at a time', async (disk, directory) => {
      const first = await disk.lock(`${directory}/lock`);
      await fails('AlreadyRunning', disk.lock(`${directory}/lock`));
      await first[Symbol.asyncDispose]();
      await (await disk.lock(`${directory}/lock`))[Symbol.asyncDispose]();
    });
  });
}
