/** Stock clients that install in CI's time. The rest, and all of them together: `npm run conformance:clients`. */
import {quickClients} from './clients/clients.ts';
import {describeClients} from './clients/suite.ts';

await describeClients('stock clients', quickClients);
