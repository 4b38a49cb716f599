import { Migration } from '@mikro-orm/migrations';

export class CreateCalendarKeys20261121 extends Migration {
  override up(): void {
    this.addSql(`
      create table calendar_keys (
        account_id text primary key references accounts,
        digest text not null
      )`);
    this.addSql('create unique index calendar_keys_by_digest on calendar_keys (digest)');
  }
}
