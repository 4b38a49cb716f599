/** A MikroORM driver whose queries all go to the database that was chosen for the read they belong to. */
import { AsyncLocalStorage } from 'node:async_hooks';
import { PostgreSqlDriver } from '@mikro-orm/postgresql';

/** Of the primary; the replicas follow, in the order of the configuration. */
export const PRIMARY = 0;

const chosen = new AsyncLocalStorage<number>();

/** Runs a read whose queries go to the member of this number. */
export function readingOn<T>(member: number, body: () => Promise<T>): Promise<T> {
  return chosen.run(member, body);
}

/**
 * MikroORM's own choice is random and knows nothing of health or lag. Here the choice is made before a read begins, so
 * that all its queries see one database.
 */
export class ReplicaDriver extends PostgreSqlDriver {
  /** Whether the ORM calls it a read or a write does not matter: views are only read. */
  override getConnection(): PostgreSqlDriver['connection'] {
    const member = chosen.getStore();
    if (member === undefined) throw new Error('views are read inside views.read');
    if (member === PRIMARY) return this.connection;
    const replica = this.replicas[member - 1];
    if (!replica) throw new RangeError(`there is no replica ${member}`);
    return replica;
  }
}
