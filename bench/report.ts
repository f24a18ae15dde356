import { writeFileSync } from 'node:fs';
import { cpus, totalmem } from 'node:os';

/** One line of the table. Figures are shown as given; `ratio` is held against `target`. */
export interface Row {
  readonly what: string;
  readonly ours: string;
  readonly floor: string;
  readonly ratio: string;
  readonly target: string;
  /** Absent where a figure is only stated. */
  readonly pass?: boolean;
}

/** The rows of one run, in the order in which they were measured. */
export class Report {
  readonly rows: Row[] = [];

  add(row: Row): void {
    this.rows.push(row);
    process.stdout.write(
      `${verdict(row).padEnd(5)} ${row.what}: ${row.ours} | ${row.floor} | ${row.ratio} | ${row.target}\n`,
    );
  }

  /** A ratio of ours to the floor's that must be at least the target. */
  atLeast(what: string, figures: { ours: string; floor: string; ratio: number; target: number }): void {
    const { ours, floor, ratio, target } = figures;
    this.add({ what, ours, floor, ratio: fixed(ratio), target: `≥ ${target}`, pass: ratio >= target });
  }

  /** A figure of ours that must be at most the target. */
  atMost(what: string, figures: { ours: number; floor?: string; target: number; unit: string }): void {
    const { ours, floor = '', target, unit } = figures;
    const shown = `${fixed(ours)} ${unit}`;
    this.add({ what, ours: shown, floor, ratio: '', target: `≤ ${target} ${unit}`, pass: ours <= target });
  }

  /** A figure that has no target. */
  stated(what: string, ours: string, floor = ''): void {
    this.add({ what, ours, floor, ratio: '', target: '' });
  }

  write(path: string, command: string): void {
    const lines = [
      '# Benchmarks',
      '',
      'Written by `npm run bench`; do not edit. Ours and the floor are measured side by side in one run, so the',
      'ratios hold where the absolute figures do not. What each floor does stands at the top of its file in `bench/`.',
      '',
      `- Machine: ${cpus().length} cores, ${Math.round(totalmem() / 2 ** 30)} GiB memory, ${cpus()[0]?.model.trim() ?? 'unknown CPU'}`,
      `- Node ${process.version}, ${new Date().toISOString().slice(0, 10)}; \`${command}\``,
      '',
      '| what | ours | floor | ratio | target | pass |',
      '| --- | --- | --- | --- | --- | --- |',
      ...this.rows.map(
        (row) => `| ${[row.what, row.ours, row.floor, row.ratio, row.target, verdict(row)].join(' | ')} |`,
      ),
      '',
    ];
    writeFileSync(path, lines.join('\n'));
  }
}

function verdict({ pass }: Row): string {
  return pass === undefined ? '' : pass ? 'yes' : '**no**';
}

/** A figure with as many digits as it can bear. */
export function fixed(value: number): string {
  if (value >= 100) return Math.round(value).toLocaleString('en');
  return value.toFixed(value >= 10 ? 1 : 2);
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
