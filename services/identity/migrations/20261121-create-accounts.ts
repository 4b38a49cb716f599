import { Migration } from '@mikro-orm/migrations';

export class CreateAccounts20261121 extends Migration {
  override up(): void {
    this.addSql(`
      create table accounts (
        id text primary key,
        email text not null check (email = lower(email)),
        name text not null,
        roles text[] not null check (roles <@ array['student', 'instructor', 'staff']),
        password_hash text not null check (password_hash like '$argon2id$%'),
        sign_up_key text
      )`);
    this.addSql('create unique index accounts_by_email on accounts (email)');
    this.addSql('create unique index accounts_by_sign_up on accounts (sign_up_key)');
    this.addSql(`
      create table sessions (
        id uuid primary key,
        account_id text not null references accounts,
        started_at timestamptz not null,
        expires_at timestamptz not null,
        ended_at timestamptz,
        end_reason text check (end_reason in ('logged-out', 'refresh-token-reused')),
        check ((ended_at is null) = (end_reason is null))
      )`);
    this.addSql('create index sessions_by_expiry on sessions (expires_at)');
    this.addSql(`
      create table refresh_tokens (
        digest text primary key,
        session_id uuid not null references sessions on delete cascade,
        rotated_at timestamptz
      )`);
    // A session has one token that works, whatever happens at once.
    this.addSql('create unique index refresh_tokens_live on refresh_tokens (session_id) where rotated_at is null');
    this.addSql('create index refresh_tokens_by_session on refresh_tokens (session_id)');
  }
}
