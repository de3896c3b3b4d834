import assert from 'node:assert/strict';
import {describe, it} from 'node:test';
import fc from 'fast-check';
import {isKind} from '#base/errors.ts';
import type {Runtime} from '#runtime/runtime.ts';
import {SimulatedCrash} from '#runtime/sim/life.ts';
import {sectorBytes} from '#runtime/sim/platter.ts';
import {createSimulation} from '#runtime/sim/simulation.ts';

const isCrash = (error: unknown): boolean => error instanceof SimulatedCrash;

/** Files, timers and connections in parallel. */
async function busyWork({clock, disk, net, random}: Runtime): Promise<number> {
  await using listener = await net.listen({host: 'a', port: 0}, (connection) => {
    void (async () => {
      for await (const chunk of connection.incoming) await connection.write([chunk]);
      await connection.end();
    })();
  });
  const one = async (i: number): Promise<number> => {
    await clock.sleep(random.number() * 3);
    await using file = await disk.open(`/f${i % 3}`, {mode: 'create'});
    await file.write([random.bytes(1000)], i * 100);
    await using connection = await net.connect(listener.address);
    await connection.write([random.bytes(5000)]);
    await connection.end();
    let received = 0;
    for await (const chunk of connection.incoming) received += chunk.length;
    await file.datasync();
    return received;
  };
  return (await Promise.all(Array.from({length: 20}, (_, i) => one(i)))).reduce((sum, n) => sum + n);
}

describe('simulation', () => {
  it('gives the same trace for the same seed, and another for another', async () => {
    const traces: string[] = [];
    for (const seed of [7, 7, 8]) {
      const simulation = createSimulation(seed);
      assert.equal(await simulation.run(busyWork), 100_000);
      traces.push(simulation.trace.join('\n'));
    }
    assert.ok(traces[0]!.split('\n').length > 60);
    assert.equal(traces[0], traces[1]);
    assert.notEqual(traces[0], traces[2]);
  });

  it('jumps over waiting, in order', async () => {
    const simulation = createSimulation(1);
    const order: string[] = [];
    await simulation.run(async ({clock}) => {
      using _never = clock.after(1000, () => order.push('late'));
      clock.after(20, () => order.push('called off'))[Symbol.dispose]();
      clock.after(10, () => order.push('soon'));
      await clock.sleep(3_600_000);
      order.push('hour');
    });
    assert.deepEqual(order, ['soon', 'late', 'hour']);
    assert.equal(simulation.nowMs, 3_600_000);
  });

  it('wakes a sleeper whose signal fires', async () => {
    const simulation = createSimulation(1);
    await assert.rejects(
      simulation.run(async ({clock}) => {
        const control = new AbortController();
        clock.after(5, () => control.abort(new Error('enough')));
        await clock.sleep(1000, {signal: control.signal});
      }),
      /enough/,
    );
    assert.equal(simulation.nowMs, 5);
  });

  it('says when everybody waits for nothing', async () => {
    await assert.rejects(createSimulation(1).run(() => new Promise(() => {})), /nothing is left to happen/);
  });

  it('crashes where it is told, and lets nothing of the old life go on', async () => {
    const simulation = createSimulation(3);
    const work = async (runtime: Runtime): Promise<void> => {
      const {disk} = runtime;
      await using file = await disk.open('/f', {mode: 'create'});
      for (let i = 0; i < 3; i++) {
        await file.write([Buffer.from([i])], i);
        await file.datasync();
        await disk.syncDirectory('/');
        try {
          runtime.crashPoint('work.synced');
        } catch {
          // Code that swallows the crash must not get any further.
          await disk.unlink('/f');
          assert.fail('the dead went on');
        }
      }
    };
    simulation.crashAt('work.synced', 2);
    await assert.rejects(simulation.run(work), isCrash);
    assert.deepEqual([...simulation.pointsHit], [['work.synced', 2]]);
    await simulation.run(async ({disk}) => {
      await using file = await disk.open('/f', {mode: 'read'});
      const into = Buffer.alloc(10);
      assert.equal(await file.read(into, 0), 2);
      assert.deepEqual([into[0], into[1]], [0, 1]);
    });
  });

  it('keeps what a killed process wrote, until the power goes', async () => {
    let lost = 0;
    for (let seed = 0; seed < 20; seed++) {
      const simulation = createSimulation(seed);
      simulation.crashAt('written', 1, 'kill');
      const life = simulation.run(async (runtime) => {
        const file = await runtime.disk.open('/file', {mode: 'create'});
        await runtime.disk.syncDirectory('/');
        await file.write([Buffer.from('written')], 0);
        runtime.crashPoint('written');
      });
      await assert.rejects(life, isCrash);
      const read = () =>
        simulation.run(async ({disk}) => {
          await using file = await disk.open('/file', {mode: 'read'});
          const bytes = Buffer.alloc(7);
          return bytes.toString('latin1', 0, await file.read(bytes, 0));
        });
      assert.equal(await read(), 'written');
      simulation.kill();
      assert.equal(await read(), 'written');
      simulation.crash();
      if ((await read()) !== 'written') lost++;
    }
    assert.ok(lost > 0 && lost < 20, `lost ${lost} of 20`);
  });

  it('frees the locks of the dead, and breaks their connections', async () => {
    const simulation = createSimulation(4);
    const other = simulation.machine('other');
    await simulation.run(async ({disk, net}) => {
      await other.runtime.disk.lock('/lock');
      await disk.lock('/lock');
      const listener = await other.runtime.net.listen({host: 'other', port: 1}, () => {});
      const connection = await net.connect(listener.address);
      other.crash();
      await assert.rejects(Array.fromAsync(connection.incoming), (error) => isKind(error, 'Unavailable'));
      await assert.rejects(net.connect(listener.address), (error) => isKind(error, 'Unavailable'));
      await (await other.runtime.disk.lock('/lock'))[Symbol.asyncDispose]();
      await assert.rejects(disk.lock('/lock'), (error) => isKind(error, 'AlreadyRunning'));
    });
  });

  it('holds back what is sent between parted machines', async () => {
    const simulation = createSimulation(5);
    const other = simulation.machine('other');
    await simulation.run(async ({net, clock}) => {
      let received = 0;
      await using listener = await other.runtime.net.listen({host: 'other', port: 1}, (connection) => {
        void (async () => {
          for await (const chunk of connection.incoming) received += chunk.length;
        })().catch(() => {}); // broken off at the end
      });
      await using connection = await net.connect(listener.address);
      simulation.net.part('main', 'other');
      await connection.write([Buffer.alloc(1000)]);
      await clock.sleep(10_000);
      assert.equal(received, 0);
      await assert.rejects(net.connect(listener.address), (error) => isKind(error, 'Unavailable'));
      simulation.net.join('other', 'main');
      await clock.sleep(1000);
      assert.equal(received, 1000);
    });
  });

  it('fails writes when the disk is full, and not before', async () => {
    const simulation = createSimulation(6);
    await simulation.run(async ({disk}) => {
      await using file = await disk.open('/f', {mode: 'create'});
      simulation.disk.fail('write', 'NoSpace', 2);
      await file.write([Buffer.alloc(1)], 0);
      await file.write([Buffer.alloc(1)], 1);
      await assert.rejects(file.write([Buffer.alloc(1)], 2), (error) => isKind(error, 'NoSpace'));
      await assert.rejects(disk.open('/g', {mode: 'create'}), (error) => isKind(error, 'NoSpace'));
      simulation.disk.heal();
      await file.write([Buffer.alloc(1)], 2);
      simulation.disk.fail('sync', 'Io');
      await assert.rejects(file.datasync(), (error) => isKind(error, 'Io'));
    });
    assert.equal(simulation.disk.counts.bytesWritten, 3);
    assert.equal(simulation.disk.counts.datasyncs, 0);
  });
});

describe('power loss', () => {
  it('never takes what was synced, and tears the rest only between sectors', async () => {
    const write = fc.record({position: fc.nat(3000), length: fc.integer({min: 1, max: 2000}), sync: fc.boolean()});
    await fc.assert(
      fc.asyncProperty(fc.nat(), fc.array(write, {maxLength: 8}), async (seed, writes) => {
        const simulation = createSimulation(seed);
        const seen = Buffer.alloc(6000);
        let synced = Buffer.alloc(6000);
        const later: {readonly position: number; readonly bytes: Buffer}[] = [];
        await simulation.run(async ({disk}) => {
          await using file = await disk.open('/f', {mode: 'create'});
          await disk.syncDirectory('/');
          for (const [i, {position, length, sync}] of writes.entries()) {
            const bytes = Buffer.alloc(length, i + 1);
            await file.write([bytes], position);
            bytes.copy(seen, position);
            later.push({position, bytes});
            if (!sync) continue;
            await file.datasync();
            synced = Buffer.from(seen);
            later.length = 0;
          }
        });
        simulation.crash();
        const kept = Buffer.alloc(6000);
        await simulation.run(async ({disk}) => {
          await using file = await disk.open('/f', {mode: 'read'});
          await file.read(kept, 0);
        });
        for (let start = 0; start < kept.length; start += sectorBytes) {
          const sector = (buffer: Buffer): string => buffer.subarray(start, start + sectorBytes).toString('latin1');
          // Of the last sync, or with any of the later writes on top.
          let possible = [Buffer.from(synced)];
          for (const {position, bytes} of later) {
            const [from, to] = [Math.max(position, start), Math.min(position + bytes.length, start + sectorBytes)];
            if (from >= to) continue;
            possible = possible.flatMap((old) => {
              const changed = Buffer.from(old);
              bytes.copy(changed, from, from - position, to - position);
              return [old, changed];
            });
          }
          assert.ok(possible.some((one) => sector(one) === sector(kept)), `sector at ${start}`);
        }
      }),
      {numRuns: 60},
    );
  });

  it('loses names that no sync named, some of the time', async () => {
    const outcomes = new Set<string>();
    for (let seed = 0; seed < 60; seed++) {
      const simulation = createSimulation(seed);
      await simulation.run(async ({disk}) => {
        const make = async (path: string): Promise<void> => (await disk.open(path, {mode: 'create'})).close();
        await disk.makeDirectory('/d');
        await make('/d/kept');
        await make('/d/old');
        await disk.syncDirectory('/');
        await disk.syncDirectory('/d');
        await make('/d/lost?');
        await disk.rename('/d/old', '/d/new');
      });
      simulation.crash();
      const names = await simulation.run(async ({disk}) => (await disk.readDirectory('/d')).sort());
      assert.ok(names.includes('kept'));
      // A rename is kept whole or not at all.
      assert.notEqual(names.includes('old'), names.includes('new'));
      outcomes.add(names.join());
    }
    assert.equal(outcomes.size, 4);
  });
});
