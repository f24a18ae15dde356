/** A progress bar on standard error where that is a terminal; elsewhere nothing. */
export class Progress {
  readonly #label: string;
  readonly #total: number;
  #shown = -1;

  constructor(label: string, total: number) {
    this.#label = label;
    this.#total = total;
  }

  update(done: number, note = ''): void {
    if (!process.stderr.isTTY) return;
    const percent = this.#total === 0 ? 100 : Math.min(100, Math.floor((done / this.#total) * 100));
    if (percent === this.#shown) return;
    this.#shown = percent;
    const filled = Math.round(percent / 4);
    process.stderr.write(
      `\r${this.#label} ${'█'.repeat(filled)}${'░'.repeat(25 - filled)} ${percent} % ${note} `,
    );
  }

  end(): void {
    if (this.#shown >= 0) process.stderr.write('\n');
  }
}
