/** Consistency tokens: positions of services' logs that a read must have reached. */
import { type ServiceName, services } from '#lib/config';

/** Longer ones were not made by us. */
const TOKEN_LENGTH_MAX = 500;

export type ConsistencyToken = ReadonlyMap<ServiceName, bigint>;

/** Reads what every view shows now. */
export const NO_TOKEN: ConsistencyToken = new Map();

export class MalformedToken extends Error {
  constructor() {
    super('a consistency token looks like "enrollment:12,billing:3"');
    this.name = 'MalformedToken';
  }
}

/** Of a service named twice the larger position counts; nothing is no token. @throws MalformedToken */
export function parseToken(text: string | undefined): ConsistencyToken {
  if (text === undefined || text.trim() === '') return NO_TOKEN;
  if (text.length > TOKEN_LENGTH_MAX) throw new MalformedToken();
  const token = new Map<ServiceName, bigint>();
  for (const part of text.split(',')) {
    const [, name, digits] = /^\s*([a-z]+):(\d{1,18})\s*$/.exec(part) ?? [];
    const service = services.find((known) => known === name);
    if (!service || digits === undefined) throw new MalformedToken();
    const position = BigInt(digits);
    if (position > (token.get(service) ?? -1n)) token.set(service, position);
  }
  return token;
}

/** Whether a database that has applied so much shows what the token names. */
export function isReached(token: ConsistencyToken, positions: ReadonlyMap<string, bigint>): boolean {
  return [...token].every(([service, position]) => (positions.get(service) ?? 0n) >= position);
}
