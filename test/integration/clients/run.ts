/**
 * All stock clients, also those that take minutes to install (mc by Go, the AWS SDK for Java and Spark by Maven) or are slow:
 * `npm run conformance:clients [-- NAME …]`.
 */
import {clients} from './clients.ts';
import {describeClients} from './suite.ts';

const named = process.argv.slice(2);
const unknown = named.filter(name => !clients.some(client => client.name === name));
if (unknown.length > 0) throw new Error(`there is no client ${unknown.join(', ')}; there are ${clients.map(({name}) => name).join(', ')}`);
await describeClients('stock clients', clients.filter(({name}) => named.length === 0 || named.includes(name)));
