/** Entry of the demo's second process. */
import {serveRemote} from '#process/demo-remote.ts';

await serveRemote();
