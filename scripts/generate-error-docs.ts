import { writeFile } from 'node:fs/promises';
import { renderErrorDocs } from '../packages/server/src/api/error-docs.ts';

await writeFile(new URL('../docs/errors.md', import.meta.url), renderErrorDocs());
