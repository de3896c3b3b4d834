import assert from 'node:assert/strict';
import {test} from 'node:test';
import type {ContentId} from '#base/ids.ts';
import {DropLater} from '#master/persist/drop-later.ts';

test('a content is dropped once, when the last need of it has ended, and others are not looked at', () => {
  const [a, b, c] = [1, 2, 3] as [ContentId, ContentId, ContentId];
  const needed = new Map([[a, 2], [b, 1], [c, 1]]);
  const asked: ContentId[] = [];
  const dropped: ContentId[][] = [];
  const later = new DropLater((id) => {
    asked.push(id);
    return needed.get(id)! > 0;
  }, (ids) => dropped.push([...ids]));
  const end = (id: ContentId): void => {
    needed.set(id, needed.get(id)! - 1);
    later.letGo(id);
  };
  later.add(a);
  later.add(b);
  later.settle();
  assert.deepEqual(asked, []);
  end(a);
  later.settle();
  assert.deepEqual([asked.splice(0), dropped], [[a], []]);
  // Of what does not wait here nothing is remembered.
  end(c);
  later.settle();
  assert.deepEqual(asked, []);
  end(a);
  later.letGo(a);
  later.settle();
  end(b);
  later.settle();
  later.letGo(a);
  later.settle();
  assert.deepEqual(dropped, [[a], [b]]);
});
