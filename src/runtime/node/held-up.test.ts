import assert from 'node:assert/strict';
import {it} from 'node:test';
import {HeldUp} from '#runtime/node/held-up.ts';

function at() {
  let now = 1000;
  const heldUp = new HeldUp(() => now);
  return {heldUp, pass: (ms: number) => void (now += ms), wait: (ms: number, bytes = 4096) => heldUp.was((now += ms) - ms, bytes)};
}

it('takes no notice of short calls, however many', () => {
  const {heldUp, wait} = at();
  for (let i = 0; i < 10_000; i++) wait(0.9);
  for (let i = 0; i < 10_000; i++) wait(1.9, 1024 * 1024);
  assert.equal(heldUp.tooLong, false);
});

it('has enough of one long wait, for twenty times as long', () => {
  const {heldUp, pass, wait} = at();
  wait(210);
  assert.equal(heldUp.tooLong, true);
  pass(3_990);
  assert.equal(heldUp.tooLong, true);
  pass(20);
  assert.equal(heldUp.tooLong, false);
});

it('bears a wait now and then', () => {
  const {heldUp, pass, wait} = at();
  for (let i = 0; i < 100; i++) {
    wait(4);
    assert.equal(heldUp.tooLong, false);
    pass(100);
  }
});

it('has enough of many that follow each other, and never loses more than its share', () => {
  const {heldUp, pass, wait} = at();
  let [lost, passed] = [0, 0];
  for (let i = 0; i < 100_000; i++) {
    if (!heldUp.tooLong) {
      wait(5);
      lost += 5;
    }
    pass(1);
    passed += 1;
  }
  assert.ok(lost <= 20 + 0.06 * (passed + lost), `${lost} of ${passed} ms`);
  assert.ok(lost >= 0.04 * passed, `${lost} of ${passed} ms`);
});
