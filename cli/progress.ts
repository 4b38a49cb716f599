const CLEAR_LINE = '\r\u001b[K';

/** Tells what goes on: in a terminal on one line that changes, elsewhere line by line. */
export class Progress {
  #stream = process.stdout;
  #shown = false;

  /** What happens now. */
  show(line: string): void {
    if (this.#stream.isTTY) {
      this.#stream.write(`${CLEAR_LINE}${line.slice(0, this.#stream.columns - 1)}`);
      this.#shown = true;
    } else {
      this.say(line);
    }
  }

  /** What stays to be read. */
  say(text: string): void {
    this.clear();
    this.#stream.write(`${text}\n`);
  }

  clear(): void {
    if (this.#shown) this.#stream.write(CLEAR_LINE);
    this.#shown = false;
  }
}
