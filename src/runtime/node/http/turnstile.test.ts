import assert from 'node:assert/strict';
import {describe, it} from 'node:test';
import {Raw, withServer} from '#runtime/node/http/fixture.test.ts';
import {Turnstile, type Waiting} from '#runtime/node/http/turnstile.ts';

/** A loop whose turns and time the test makes; every request takes 0.4 ms. */
class Loop {
  readonly begun: string[] = [];
  readonly turnstile = new Turnstile(() => this.nowMs, (fn) => void this.#polled.push(fn));
  nowMs = 1000;
  #polled: (() => void)[] = [];

  /** Requests that arrive in this turn, one a connection. */
  arrive(...names: readonly string[]): void {
    for (const name of names) this.#enter(name, {begin: () => this.#enter(name, undefined)});
  }

  /** False when the loop would sleep. */
  turn(): boolean {
    const polled = this.#polled.splice(0);
    for (const fn of polled) fn();
    return polled.length > 0;
  }

  #enter(name: string, waiting: Waiting | undefined): void {
    if (waiting) this.#waiting.set(name, waiting);
    if (!this.turnstile.enter(this.#waiting.get(name)!)) return;
    const sinceMs = this.turnstile.begins();
    this.begun.push(name);
    this.nowMs += 0.4;
    if (!name.startsWith('slow')) this.turnstile.ends();
    this.turnstile.ran(sinceMs);
  }

  readonly #waiting = new Map<string, Waiting>();
}

describe('turnstile', () => {
  it('holds up nobody while no request is under way, and the loop may sleep', () => {
    const loop = new Loop();
    loop.arrive('a', 'b', 'c', 'd', 'e');
    assert.deepEqual(loop.begun, ['a', 'b', 'c', 'd', 'e']);
    assert.equal(loop.turn(), false);
  });

  it('lets requests begin for a time in each turn, in the order of arrival', () => {
    const loop = new Loop();
    loop.arrive('slow', 'a', 'b', 'c', 'd', 'e');
    assert.deepEqual(loop.begun, ['slow', 'a', 'b', 'c'], '1 ms is not over before the third');
    assert.ok(loop.turn());
    assert.deepEqual(loop.begun.slice(4), ['d', 'e']);
    loop.arrive('f', 'g');
    assert.deepEqual(loop.begun.slice(6), ['f'], 'what is left of the turn');
    while (loop.turn());
    assert.deepEqual(loop.begun.slice(7), ['g']);
  });

  it('lets nobody pass those who stand in line', () => {
    const loop = new Loop();
    loop.arrive('slow', 'a', 'b', 'c', 'd', 'e', 'f', 'g');
    loop.turn();
    loop.arrive('h');
    while (loop.turn());
    assert.equal(loop.begun.join(' '), 'slow a b c d e f g h');
  });

  it('lets all begin when the last that was under way has ended', () => {
    const loop = new Loop();
    loop.arrive('slow', 'a', 'b', 'c', 'd', 'e', 'f', 'g');
    loop.turnstile.ends();
    loop.turn();
    assert.equal(loop.begun.join(' '), 'slow a b c d e f g');
  });

  it('gives requests a share of a turn that was long for other reasons', () => {
    const loop = new Loop();
    loop.arrive('slow', 'a', 'b', 'c', ...Array.from({length: 20}, (_, i) => String(i)));
    loop.nowMs += 64;
    loop.turn();
    assert.equal(loop.begun.length, 4 + 11, 'a sixteenth of 65 ms');
  });

  it('forgets who went away', () => {
    const loop = new Loop();
    loop.arrive('slow', 'a', 'b', 'c');
    const waiting: Waiting = {begin: () => assert.fail('it has left')};
    assert.equal(loop.turnstile.enter(waiting), false);
    assert.ok(loop.turnstile.holds(waiting));
    loop.turnstile.leave(waiting);
    while (loop.turn());
    assert.equal(loop.turnstile.holds(waiting), false);
  });

  it('lets a request that needs many turns end long before a crowd of others', async () => {
    const crowd = 40;
    const each = 50;
    let answered = 0;
    let answeredBefore = 0;
    const crowded = Promise.withResolvers<void>();
    const slow = Promise.withResolvers<void>();
    await withServer(
      async (exchange) => {
        if (exchange.target === '/slow') {
          await crowded.promise;
          for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => void setImmediate(resolve));
          answeredBefore = answered;
          slow.resolve();
          return exchange.respond(200, []);
        }
        for (const until = performance.now() + 0.2; performance.now() < until; );
        if (exchange.target === '/last') return exchange.respond(200, ['X-Which', 'last']);
        answered++;
        crowded.resolve();
        await exchange.respond(200, []);
      },
      async (_, port) => {
        const slowly = new Raw(port);
        slowly.send('GET /slow HTTP/1.1\r\nHost: h\r\n\r\n');
        const others = Array.from({length: crowd}, () => new Raw(port));
        for (const raw of others) raw.send('GET / HTTP/1.1\r\nHost: h\r\n\r\n'.repeat(each));
        await slow.promise;
        for (const raw of others) raw.send('GET /last HTTP/1.1\r\nHost: h\r\n\r\n');
        for (const raw of others) await raw.until(/last/);
        for (const raw of [slowly, ...others]) raw.socket.destroy();
        assert.equal(answered, crowd * each);
        assert.ok(answeredBefore < answered / 4, `${answeredBefore} of ${answered} had their answer before`);
      },
    );
  });
});
