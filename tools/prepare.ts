/** Before the first container starts: keys in a folder that all share, and a database for each process that keeps something. */
import { keyFiles } from '../local/keys.ts';
import { databaseNames } from '../local/part.ts';
import { createDatabases } from '../local/postgres.ts';

const [keyFolder, primaryUrl] = process.argv.slice(2);
if (!keyFolder || !primaryUrl) throw new Error('usage: node tools/prepare.ts <key folder> <URL of the primary>');

await keyFiles(keyFolder);
await createDatabases({ primaryUrl }, databaseNames);
