/** What axe finds on a page as it stands. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { AxeResults } from 'axe-core';
import type { Visitor } from './visit.ts';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** What is serious or worse, each with its first places. */
export async function findings({ page }: Visitor): Promise<string[]> {
	// What opens fades in, and half-faded words have half the contrast.
	await page.waitForFunction(() => document.getAnimations().every(({ playState }) => playState !== 'running'));
	await page.evaluate(AXE);
	const { violations } = (await page.evaluate('axe.run({ resultTypes: ["violations"] })')) as AxeResults;
	return violations
		.filter(({ impact }) => impact === 'serious' || impact === 'critical')
		.map(({ id, nodes }) => `${id}: ${nodes.slice(0, 3).map(({ html, failureSummary }) => `${html.slice(0, 200)} (${failureSummary})`).join(' | ')}`);
}

/** The same page as a person sees it who has chosen dark, and on the smallest of screens: what axe finds, and pixels to the side. */
export async function findingsEverywhere(visitor: Visitor): Promise<string[]> {
	const { page } = visitor;
	const size = page.viewportSize()!;
	const found: string[] = [];
	for (const colorScheme of ['dark', 'light'] as const) {
		await page.emulateMedia({ colorScheme });
		found.push(...(await findings(visitor)).map((words) => `${colorScheme}: ${words}`));
	}
	await page.setViewportSize({ width: 320, height: 640 });
	found.push(...(await findings(visitor)).map((words) => `320 px: ${words}`));
	const aside = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
	if (aside > 0) found.push(`320 px: ${aside} pixels to the side`);
	await page.setViewportSize(size);
	return found;
}
