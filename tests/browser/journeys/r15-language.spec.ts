/** R15: Danish first, English second, never mixed. */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { expect, test, type Visitor } from '../visit.ts';
import { STATES } from './states.ts';

/** Every text of a catalogue, its blanks as patterns; forms of number are each a text of their own. */
function catalogue(language: 'da' | 'en'): Map<string, string[]> {
	const file = resolve(import.meta.dirname, `../../../web/messages/${language}.json`);
	const texts = new Map<string, string[]>();
	for (const [key, value] of Object.entries(JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>)) {
		if (key.startsWith('$')) continue;
		const forms = Array.isArray(value) ? (value as { match: Record<string, string> }[]).flatMap(({ match }) => Object.values(match)) : [value as string];
		texts.set(key, forms);
	}
	return texts;
}

/** What stands in one catalogue and in no place of the other, as patterns of a whole text. With few letters beside its blanks it fits anything. */
function only(language: 'da' | 'en'): RegExp[] {
	const other = new Set([...catalogue(language === 'da' ? 'en' : 'da').values()].flat());
	const own = [...catalogue(language).values()].flat();
	return own
		.filter((text) => !other.has(text) && /\p{L}{2,}/u.test(text) && (!text.includes('{') || text.replace(/\{\w+\}|\P{L}/gu, '').length >= 6))
		.map((text) => new RegExp(`^${text.replace(/[.*+?^$()|[\]\\]/g, '\\$&').replace(/\{\w+\}/g, '.+')}$`, 'u'));
}

/** Everything that is seen or read aloud, of the interface and not of what people wrote, by the language it stands in. */
function said({ page }: Visitor, language: string): Promise<string[]> {
	return page.evaluate((language) => {
		const found: string[] = [document.title];
		const inLanguage = (element: Element) => (element.closest('[lang]')?.getAttribute('lang') ?? '') === language;
		for (const element of document.querySelectorAll('body *')) {
			if (element.closest('.ProseMirror, script, style, noscript') && !element.matches('.ProseMirror')) continue;
			if (!inLanguage(element)) continue;
			for (const name of ['aria-label', 'title', 'placeholder', 'alt', 'aria-roledescription', 'data-placeholder']) {
				const value = element.getAttribute(name);
				if (value) found.push(value);
			}
			if (element.matches('.ProseMirror')) continue;
			for (const node of element.childNodes) if (node.nodeType === 3 && node.textContent?.trim()) found.push(node.textContent.trim());
		}
		return [...new Set(found)];
	}, language);
}

const MONTHS_AND_DAYS = /\b(January|February|March|May|June|July|October|December|Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday|today|yesterday|tomorrow)\b|\d{1,2}[/-]\d{1,2}[/-]\d{2,4}|\d{4}-\d{2}-\d{2}|\b\d{1,2}:\d{2}\b|\b[ap]\.?m\.\b/;

/** The number of a case in the records (KLE-facet-serial-year), which has no language. */
const CASE_NUMBER = /\b\d{2}\.\d{2}\.\d{2}-[A-Z]\d{2}-\d+-\d+\b/g;

test('R15 no page in Danish says anything in English, and dates are Danish', async ({ visit }) => {
	test.setTimeout(120_000);
	const english = only('en');
	const visitor = await visit();
	for (const { name, arrive, leave } of STATES) {
		await test.step(name, async () => {
			await arrive(visitor);
			expect.soft(await visitor.page.getAttribute('html', 'lang'), name).toBe('da');
			const texts = await said(visitor, 'da');
			expect(texts.length).toBeGreaterThan(2);
			expect.soft(texts.filter((text) => english.some((pattern) => pattern.test(text))), `${name}: in English`).toEqual([]);
			expect.soft(texts.filter((text) => MONTHS_AND_DAYS.test(text.replace(CASE_NUMBER, ''))), `${name}: not a Danish date`).toEqual([]);
			await leave?.(visitor);
		});
	}
});

test('R15 no page in English says anything of its own in Danish', async ({ visit }) => {
	test.setTimeout(120_000);
	const danish = only('da');
	const visitor = await visit();
	await visitor.page.addInitScript(() => localStorage.setItem('PARAGLIDE_LOCALE', 'en'));
	for (const { name, arrive, leave } of STATES) {
		// The municipality's words stay Danish, and so does the demo's own provider.
		if (name === 'the demo’s sign-in page' || name === 'offline with unsent words' || name === 'setting a link') continue;
		await test.step(name, async () => {
			await arrive(visitor);
			expect.soft(await visitor.page.getAttribute('html', 'lang'), name).toBe('en');
			const texts = await said(visitor, 'en');
			expect(texts.length).toBeGreaterThan(2);
			expect.soft(texts.filter((text) => danish.some((pattern) => pattern.test(text))), `${name}: in Danish`).toEqual([]);
			await leave?.(visitor);
		});
	}
});

test('R15 what people wrote is marked as Danish on an English page', async ({ visit }) => {
	const leader = await visit();
	await leader.page.addInitScript(() => localStorage.setItem('PARAGLIDE_LOCALE', 'en'));
	await leader.signIn('p-l-fjordskolen');
	await leader.page.goto(await leader.pathOf('Fjordskolen'));
	await expect(leader.save).toHaveText('Saved');
	for (const text of await leader.page.locator('.ProseMirror').all()) await expect(text).toHaveAttribute('lang', 'da');
	await expect(leader.page.getByText('Hvem er I til for')).toHaveAttribute('lang', 'da');
});

test('R15 days, times and figures are as a Dane writes them', async ({ visit }) => {
	const leader = await visit();
	await leader.signIn('p-l-fjordskolen');
	await expect(leader.page.getByRole('heading', { level: 1 })).toHaveText('Mandag den 23. november');
	await expect(leader.page.getByText('Fredag den 29. januar 2027')).toBeVisible();
	await expect(leader.page.getByText('kl. 14.00–15.30')).toBeVisible();
	await leader.page.goto(await leader.pathOf('Fjordskolen'));
	await leader.ready();
	await expect(leader.page.getByText(/Budgetrammen er\s\d+,\d+\smio\.\skr\./)).toBeVisible();
});
