import { Migration } from '@mikro-orm/migrations';

/** The follower of enrollment's log begins at its start, so what was completed before is marked too. */
export class KnowCompletedRegistrations20261121 extends Migration {
  override up(): void {
    this.addSql('alter table reservations add column completed boolean not null default false');
  }
}
