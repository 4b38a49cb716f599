/** Tables that every process with a database has: its log, its checkpoints in others' logs, and its instances. */
import { Migration } from '@mikro-orm/migrations';

export class Chassis20261121 extends Migration {
  override up(): void {
    this.addSql(`
      create table events (
        position bigint primary key,
        at timestamptz not null,
        type text not null,
        subject text not null,
        actor text not null,
        traceparent text not null,
        data json not null
      ) with (toast_tuple_target = 8160)`); // compressing an event that fits a page costs more than it saves
    this.addSql('create index events_by_subject on events (subject, position)');
    // One row: its lock, held until the commit, is what makes positions gapless and in commit order.
    this.addSql('create table event_head (one boolean primary key default true check (one), position bigint not null)');
    this.addSql('insert into event_head (position) values (0)');
    this.addSql(`
      create table checkpoints (
        source text primary key,
        position bigint not null,
        at timestamptz not null default now()
      )`);
    this.addSql(`
      create table instances (
        address text primary key,
        service text not null,
        state text not null,
        since timestamptz not null,
        heartbeat_at timestamptz not null,
        load double precision not null
      )`);
  }
}

export const chassisMigrations = [Chassis20261121];
