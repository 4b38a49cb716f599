/** The URL of a database on the server at `url`, as the same user. */
export function databaseAt(url: string, database: string): string {
  return Object.assign(new URL(url), { pathname: `/${database}` }).href;
}
