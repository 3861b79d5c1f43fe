// Hocuspocus with its own database extension on PostgreSQL, everything else as it comes: stores are put off by 2 s, 10 s at most, and
// nobody is asked who they are. The database is named by PGHOST, PGUSER and PGDATABASE.
import { Database } from '@hocuspocus/extension-database';
import { Server } from '@hocuspocus/server';
import pg from 'pg';

const pool = new pg.Pool();
// A database that goes away is the next query's to notice, not the process' to die of.
pool.on('error', (error) => console.error(error.message));
await pool.query('CREATE TABLE IF NOT EXISTS documents (name text PRIMARY KEY, data bytea NOT NULL)');

const server = new Server({
  address: '127.0.0.1',
  port: 0,
  quiet: true,
  extensions: [
    new Database({
      fetch: async ({ documentName }) =>
        (await pool.query('SELECT data FROM documents WHERE name = $1', [documentName])).rows[0]?.data ?? null,
      store: async ({ documentName, state }) => {
        await pool.query(
          'INSERT INTO documents (name, data) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET data = excluded.data',
          [documentName, state],
        );
      },
    }),
  ],
});
await server.listen();
console.log(`ready http://127.0.0.1:${server.address.port}`);
