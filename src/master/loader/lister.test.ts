import assert from 'node:assert/strict';
import {it} from 'node:test';
import {setFlagsFromString} from 'node:v8';
import {runInNewContext} from 'node:vm';
import {KiB} from '#base/units.ts';
import {bytes, context, World} from '#master/fixture.test.ts';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

it('keeps of a page of a store where to go on, and not what the page came in', async () => {
  const world = new World();
  const store = world.store('mem://many');
  const keys = 200;
  for (let i = 0; i < keys; i++) store.outside.put(bytes(`a key of some length ${String(i).padStart(4, '0')}`), Buffer.of(1));
  const answerBytes = 256 * KiB;
  world.wrap = inner => new Proxy(inner, {
    get: (target, property) => {
      const value: unknown = Reflect.get(target, property);
      if (property !== 'list') return typeof value === 'function' ? (value.bind(target) as unknown) : value;
      return async (...[request, options]: Parameters<typeof inner.list>) => {
        const page = await target.list({...request, limit: 1}, options);
        const {continuation} = page;
        if (continuation === undefined) return page;
        // As a parser has it: cut out of the text of the whole answer.
        const answer = Buffer.from(continuation.padEnd(answerBytes)).toString();
        return {...page, continuation: answer.slice(0, continuation.length)};
      };
    },
  });
  await world.life(async master => {
    await master.mount({path: bytes('/many/'), uri: 'mem://many', options: {}}, context);
    collect();
    const before = process.memoryUsage().heapUsed;
    const page = await master.list({directory: bytes('/many/'), view: 'keys', limit: keys}, context);
    assert.equal(page.entries.length, keys);
    collect();
    const grown = process.memoryUsage().heapUsed - before;
    assert.ok(grown < (keys * answerBytes) / 4, `${grown} bytes more are kept`);
  });
});
