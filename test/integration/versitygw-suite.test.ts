/** The S3 front end against versitygw's client suite: all of it that does not administer versitygw itself, but for what is declared wrong about S3. */
import assert from 'node:assert/strict';
import {test} from 'node:test';
import {declaredExceptions, runVersitygwSuite} from '../conformance/s3/versitygw.ts';
import {versitygwProgram} from '../servers/s3-servers.ts';
import {need} from '../servers/tools.ts';

const program = await need('versitygw', "versitygw's client suite", versitygwProgram);

test("versitygw's client suite", {skip: program === undefined}, async () => {
  const results = await runVersitygwSuite(program!);
  assert.deepEqual(results.filter(({state}) => state === 'failed').map(({name, why}) => `${name}: ${why.slice(0, 300)}`), []);
  // Those that drive the program itself are 71, and two more its own protocol.
  assert.equal(results.filter(({state}) => state === 'outside').length, 73);
  const seen = new Set(results.filter(({state}) => state === 'declared').map(({name}) => name));
  assert.deepEqual([...(await declaredExceptions()).keys()].filter(name => !seen.has(name)), [], 'declared as wrong about S3, and passed: they need no exception');
});
