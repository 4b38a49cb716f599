/** Reads of a service's own database for a caller, whose deadline reaches the database. */
import type { HandlerContext } from '@connectrpc/connect';
import type { EntityManager } from '@mikro-orm/postgresql';
import { timeoutOf } from './change.ts';
import { type Database, inTransaction, limitStatements, type Query, queryIn } from './database.ts';

export interface Reads {
  read<T>(context: HandlerContext, body: (em: EntityManager) => Promise<T>): Promise<T>;
  readInSql<T>(context: HandlerContext, body: (query: Query) => Promise<T>): Promise<T>;
}

/** The two ways to read a database, as there are two to change it. */
export function readsOf(database: Database): Reads {
  return {
    read(context, body) {
      return database.orm.em.fork().transactional(
        async (em) => {
          await queryIn(em)(limitStatements(timeoutOf(context)));
          return body(em);
        },
        { readOnly: true },
      );
    },

    readInSql(context, body) {
      return inTransaction(database.pool, { timeoutMs: timeoutOf(context) }, body);
    },
  };
}
