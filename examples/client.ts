/** Writes, reads and lists through a running instance: `weir up` in one shell, then `node examples/client.ts` in another. */
import {connect, isKind} from 'weir/client';

await using weir = await connect();

// A whole file, and one that comes as a stream.
await weir.write('/example/hello.txt', 'hello, weir\n');
async function* numbers() {
  for (let i = 1; i <= 3; i++) yield Buffer.from(`line ${i}\n`);
}
await weir.write('/example/numbers.txt', numbers());

// As a stream, in part, and whole.
for await (const chunk of await weir.read('/example/numbers.txt')) process.stdout.write(chunk);
console.log(Buffer.from(await weir.readBytes('/example/hello.txt', {offset: 7, length: 4})).toString());

for await (const entry of weir.list('/example')) console.log(entry.path, entry.length);

// Only if it is not there yet.
try {
  await weir.write('/example/hello.txt', 'again', {ifNoneMatch: '*'});
} catch (error) {
  if (!isKind(error, 'PreconditionFailed')) throw error;
  console.log('kept');
}

await weir.remove('/example', {recursive: true});
