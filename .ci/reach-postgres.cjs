// node .ci/reach-postgres.cjs URL [STATEMENT]: exit 0 when the server answers (and has run the statement).
'use strict';
const { Client } = require('pg');

const [connectionString, statement = 'select 1'] = process.argv.slice(2);
const client = new Client({ connectionString, connectionTimeoutMillis: 2000 });
client
  .connect()
  .then(() => client.query(statement))
  .then(() => client.end())
  .catch((error) => {
    console.error(error.message);
    process.exit(1);
  });
