/** What the edge is made of. Tests put it together from real parts of their own. */
import type { Clients } from '#lib/clients';
import type { Config } from '#lib/config';
import type { Logger } from '#lib/log';
import type { TokenVerifier } from '#lib/token';
import type { Views } from '#views/reader';
import type { Sagas } from './sagas.ts';

export interface EdgeParts {
  config: Config;
  logger: Logger;
  clients: Clients;
  verifier: TokenVerifier;
  views: Views;
  sagas: Sagas;
}
