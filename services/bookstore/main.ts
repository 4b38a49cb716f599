import { runService } from '#lib/service';
import { bookstore } from './bookstore.ts';

await runService(bookstore);
