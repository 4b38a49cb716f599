/** How views are read: through MikroORM, from whichever replica is healthy and has reached what the reader must see. */
import type { EntityManager } from '@mikro-orm/postgresql';
import type { ServiceName } from '#lib/config';
import type { Logger } from '#lib/log';
import type { ConsistencyToken } from './token.ts';

/** No database shows yet what the token asks for: try again later. */
export class ViewBehind extends Error {
  readonly retryAfterSeconds = 1;

  constructor() {
    super('the views have not reached this point yet');
    this.name = 'ViewBehind';
  }
}

/** Up to when all that a service did is shown; undefined where that is not known. */
export type AsOf = (service: ServiceName) => Date | undefined;

export interface MemberState {
  /** host:port */
  address: string;
  role: 'primary' | 'replica';
  /** `lagging` and `lost` ones are not read. */
  state: 'serving' | 'lagging' | 'lost';
  lagSeconds: number | undefined;
  lagBytes: number | undefined;
}

export interface Views {
  /**
   * Runs a read that shows at least what `token` names. The body may run twice: once more on another database where the first one broke.
   * @throws ViewBehind
   */
  read<T>(token: ConsistencyToken, body: (em: EntityManager, asOf: AsOf) => Promise<T>): Promise<T>;
  /** The databases of the views as they were last heard, the primary first. */
  replicas(): MemberState[];
  /** As `asOf` of a read, from the database that knows most. */
  asOf: AsOf;
  close(): Promise<void>;
}

export interface ViewsOptions {
  primaryUrl: string;
  replicaUrls: readonly string[];
  logger: Logger;
}

export function openViews(_options: ViewsOptions): Promise<Views> {
  throw new Error('not yet');
}
