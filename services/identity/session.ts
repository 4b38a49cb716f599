/** Sessions: a family of refresh tokens, each good for one use. Only their digests are kept. */
import { randomUUID } from 'node:crypto';
import { defineEntity, type EntityManager, LockMode, p } from '@mikro-orm/postgresql';
import { digestOf, newSecret } from './secret.ts';

const SESSION_DAYS = 30;
const EXPIRED_DELETED_MAX = 100;
const DAY_MS = 24 * 60 * 60 * 1000;

const SessionEntity = defineEntity({
  name: 'Session',
  tableName: 'sessions',
  properties: {
    id: p.uuid().primary(),
    accountId: p.string(),
    startedAt: p.datetime(),
    expiresAt: p.datetime(),
    endedAt: p.datetime().nullable(),
    endReason: p.enum(['logged-out', 'refresh-token-reused'] as const).nullable(),
  },
});
export class Session extends SessionEntity.class {
  isLive(now: Date): boolean {
    return this.endedAt === null && now < this.expiresAt;
  }
}
SessionEntity.setClass(Session);

/** A rotated token is kept as long as its session, to be recognised when somebody presents it again. */
const RefreshTokenEntity = defineEntity({
  name: 'RefreshToken',
  tableName: 'refresh_tokens',
  properties: {
    digest: p.string().primary(),
    session: () => p.manyToOne(Session),
    rotatedAt: p.datetime().nullable(),
  },
});
export class RefreshToken extends RefreshTokenEntity.class {}
RefreshTokenEntity.setClass(RefreshToken);

export function startSession(em: EntityManager, accountId: string, now: Date): { session: Session; token: string } {
  const expiresAt = new Date(now.getTime() + SESSION_DAYS * DAY_MS);
  const session = em.create(Session, {
    id: randomUUID(),
    accountId,
    startedAt: now,
    expiresAt,
    endedAt: null,
    endReason: null,
  });
  return { session, token: addToken(em, session) };
}

/** The session a token belongs to and the token's own row, with the session locked; undefined for a token of nobody. */
export async function lockSession(
  em: EntityManager,
  token: string,
): Promise<{ session: Session; presented: RefreshToken } | undefined> {
  const known = await em.findOne(RefreshToken, digestOf(token));
  const session = known && (await em.findOne(Session, known.session.id, { lockMode: LockMode.PESSIMISTIC_WRITE }));
  // Read again: whoever held the lock before may have rotated it.
  const presented = session && (await em.refresh(known));
  return presented ? { session, presented } : undefined;
}

/** Replaces a token by a new one. The session's life is not prolonged. */
export async function rotate(em: EntityManager, presented: RefreshToken, now: Date): Promise<string> {
  presented.rotatedAt = now;
  // Inserts go before updates in a flush, and the database allows one working token a session.
  await em.flush();
  return addToken(em, presented.session);
}

export function end(session: Session, reason: NonNullable<Session['endReason']>, now: Date): void {
  session.endedAt = now;
  session.endReason = reason;
}

/** Some of what has expired, with its tokens; each log-in brings one session, so a bounded number keeps up. */
export async function deleteExpired(em: EntityManager, now: Date): Promise<void> {
  await em.execute(
    `delete from sessions where id in (
       select id from sessions where expires_at <= ? order by expires_at limit ? for update skip locked)`,
    [now, EXPIRED_DELETED_MAX],
  );
}

function addToken(em: EntityManager, session: Session): string {
  const token = newSecret();
  em.create(RefreshToken, { digest: digestOf(token), session, rotatedAt: null });
  return token;
}
