import assert from 'node:assert/strict';
import {describe, it} from 'node:test';
import fc from 'fast-check';
import {leastBusy, type Load, nextMove, threadsHelp, wantsFewer, wantsMore} from '#runtime/node/threads/balance.ts';

const load = (busy: number, connections = 10, cpu = busy): Load => ({busy, cpu, connections});

describe('how connections are shared', () => {
  it('one thread more when all are busy, one fewer when the others would do', () => {
    assert.deepEqual([wantsMore([load(0.5)]), wantsMore([load(0.9)]), wantsMore([load(1), load(0.5)]), wantsMore([load(0.9), load(0.8)])], [false, true, false, true]);
    assert.deepEqual([wantsFewer([load(0)]), wantsFewer([load(0.1), load(0.2)]), wantsFewer([load(0.5), load(0.4)])], [false, true, false]);
    assert.equal(wantsMore([load(1, 10, 0.5)]), false, 'its core is wanted by others');
    // Never both, so that no thread comes and goes.
    fc.assert(fc.property(fc.array(fc.double({min: 0, max: 1, noNaN: true}), {minLength: 1, maxLength: 9}), (busy) => {
      const loads = busy.map((share) => load(share));
      assert.ok(!(wantsMore(loads) && wantsFewer(loads)));
    }));
  });

  it('none for those who only write, or for what is no request', () => {
    assert.deepEqual([threadsHelp(0, 0), threadsHelp(100, 0), threadsHelp(100, 24), threadsHelp(100, 25), threadsHelp(1, 1)], [false, false, false, true, true]);
  });

  it('connections move from the busiest to the least busy, some at a time, and never all', () => {
    assert.equal(nextMove([load(0.4), load(0)]), undefined);
    assert.equal(nextMove([load(0.9), load(0.85)]), undefined);
    assert.equal(nextMove([load(1, 1), load(0, 0)]), undefined);
    assert.deepEqual(nextMove([load(1, 40), load(0.2, 0)]), {from: 0, to: 1, connections: 8});
    assert.deepEqual(nextMove([load(0.3), load(0.9, 8), load(0.1)]), {from: 1, to: 2, connections: 1});
    fc.assert(fc.property(fc.array(fc.record({busy: fc.double({min: 0, max: 1, noNaN: true}), cpu: fc.constant(0), connections: fc.nat(1000)}), {minLength: 1, maxLength: 9}), (loads) => {
      const move = nextMove(loads);
      if (!move) return;
      assert.ok(move.from !== move.to && loads[move.from]!.busy > loads[move.to]!.busy);
      assert.ok(move.connections >= 1 && move.connections < loads[move.from]!.connections);
    }));
  });

  it('it comes to rest when a connection costs a thread more than the main one saves', () => {
    // As measured: a read costs the main thread 40 µs of its own, 12 for a thread, which needs 32 itself.
    let [own, given] = [64, 0];
    const busy = (): Load[] => [load(Math.min(1, (own * 40 + given * 12) / 2000), own), load(Math.min(1, (given * 32) / 2000), given)];
    const moves: number[] = [];
    for (let second = 0; second < 30; second++) {
      const move = nextMove(busy());
      moves.push(move ? (move.from === 0 ? move.connections : -move.connections) : 0);
      own -= moves.at(-1)!;
      given += moves.at(-1)!;
    }
    assert.deepEqual(moves.slice(-10), Array.from({length: 10}, () => 0), moves.join());
    assert.ok(moves.every((moved) => moved >= 0), moves.join());
  });

  it('new connections go where they find most time, not all to the same between two looks', () => {
    assert.equal(leastBusy([load(0, 0)], []), 0);
    assert.equal(leastBusy([load(0, 0), load(0, 0)], []), 1);
    assert.equal(leastBusy([load(0.9), load(0.2)], []), 1);
    const [loads, since] = [[load(0.5, 10), load(0.4, 10), load(0.4, 10)], [0, 0, 0]];
    for (let i = 0; i < 60; i++) since[leastBusy(loads, since)]!++;
    assert.ok(since.every((count) => count >= 12), since.join());
  });
});
