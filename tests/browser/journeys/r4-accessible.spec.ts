/** R4: accessible live editing. */
import { findings } from '../axe.ts';
import { expect, test, unique, type Visitor } from '../visit.ts';
import { STATES } from './states.ts';

for (const colorScheme of ['light', 'dark'] as const) {
	test(`R4 axe finds nothing serious on any page in any state, ${colorScheme}`, async ({ visit }) => {
		test.setTimeout(150_000);
		const visitor = await visit({ dark: colorScheme === 'dark' });
		for (const { name, arrive, leave } of STATES) {
			await test.step(name, async () => {
				await arrive(visitor);
				expect.soft(await findings(visitor), name).toEqual([]);
				await leave?.(visitor);
			});
		}
	});
}

for (const [width, height, why] of [
	[320, 640, 'a small phone'],
	[320, 256, '400 % zoom'],
	[768, 900, 'a tablet']
] as const) {
	test(`R4 no page scrolls sideways and no target is smaller than 24 px at ${width} × ${height}, ${why}`, async ({ visit }) => {
		test.setTimeout(120_000);
		const visitor = await visit({ width, height });
		for (const { name, arrive, leave } of STATES) {
			await test.step(name, async () => {
				await arrive(visitor);
				const wide = await visitor.page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
				expect.soft(wide, `${name}: pixels to the side`).toBeLessThanOrEqual(0);
				expect.soft(await smallTargets(visitor), name).toEqual([]);
				await leave?.(visitor);
			});
		}
	});
}

/** Buttons, links and fields under 24 × 24 that WCAG 2.5.8 does not excuse: words in a sentence are. */
function smallTargets({ page }: Visitor): Promise<string[]> {
	return page.evaluate(() => {
		const within = document.querySelector('dialog[open]') ?? document;
		const all = [...within.querySelectorAll<HTMLElement>('a[href], button, input, [role="option"], [role^="menuitem"]')].filter((target) => target.checkVisibility());
		const centres = all.map((target) => target.getBoundingClientRect()).map(({ x, y, width, height }) => ({ x: x + width / 2, y: y + height / 2 }));
		return all.flatMap((target, index) => {
			const { width, height, bottom } = target.getBoundingClientRect();
			const inSentence = getComputedStyle(target).display === 'inline';
			const labelled = target.closest('label')?.getBoundingClientRect();
			const skip = target.className.includes('skip') || bottom < 0;
			if (skip || inSentence || (width >= 24 && height >= 24) || (labelled && labelled.height >= 24)) return [];
			// A small one with room around it: a circle of 24 px on it meets no other's.
			const own = centres[index]!;
			const alone = centres.every((other, at) => at === index || Math.hypot(other.x - own.x, other.y - own.y) >= 24);
			return alone ? [] : [`${target.outerHTML.slice(0, 120)} ${Math.round(width)}×${Math.round(height)}`];
		});
	});
}

test('R4 every text has a name and says that it takes several lines', async ({ visit }) => {
	const leader = await visit();
	await leader.open('p-l-fjordskolen', 'Fjordskolen');
	const texts = await leader.page.getByRole('main').getByRole('textbox').all();
	expect(texts.length).toBeGreaterThan(10);
	const names = new Map<string, number>();
	for (const text of texts) {
		const name = (await text.getAttribute('aria-label')) ?? '';
		expect(name).not.toBe('');
		names.set(name, (names.get(name) ?? 0) + 1);
		expect(await text.getAttribute('aria-multiline')).toMatch(/true|false/);
	}
	await expect(leader.text('Kerneopgave')).toHaveAttribute('aria-multiline', 'true');
	// Carets of others are not in the reading order.
	for (const caret of await leader.page.locator('.caret').all()) await expect(caret).toHaveAttribute('aria-hidden', 'true');
});

test('R4 to the toolbar and back, and out of the text, with the keyboard', async ({ visit }) => {
	const leader = await visit();
	await leader.open('p-l-klitskolen', 'Klitskolen');
	const { page } = leader;
	const word = unique('fed');
	await leader.writeIn('Rammer', ` ${word}`);
	await page.keyboard.press('Control+Shift+ArrowLeft');

	await page.keyboard.press('Alt+F10');
	const bar = page.getByRole('toolbar');
	await expect(bar.locator(':focus')).toHaveCount(1);
	await page.keyboard.press('Home');
	await page.keyboard.press('ArrowRight');
	await expect(bar.getByRole('button', { name: 'Fed' })).toBeFocused();
	await expect(bar.getByRole('button', { name: 'Fed' })).toHaveCSS('outline-style', 'solid');
	expect(await bar.locator('[tabindex="0"]').count(), 'one tab stop').toBe(1);
	await page.keyboard.press('Enter');
	await expect(leader.text('Rammer').locator('strong')).toContainText(word);
	await page.keyboard.press('Alt+F10');
	await page.keyboard.press('End');
	await expect(bar.locator('button').last()).toBeFocused();
	await page.keyboard.press('ArrowRight');
	await expect(bar.locator('[data-stop="0"]')).toBeFocused();
	await page.keyboard.press('Escape');
	await expect(leader.text('Rammer')).toBeFocused();

	// Tab means something in a list, and even there Escape and then Tab leaves.
	await page.keyboard.press('Control+End');
	await page.keyboard.press('Enter');
	await page.keyboard.type('- punkt');
	await page.keyboard.press('Enter');
	await page.keyboard.press('Tab');
	await expect(leader.text('Rammer')).toBeFocused();
	await page.keyboard.press('Escape');
	await page.keyboard.press('Tab');
	await expect(leader.text('Rammer')).not.toBeFocused();
	await page.keyboard.press('Shift+Tab');
	await expect(leader.text('Rammer')).toBeFocused();
});

test('R4 from signing in to a saved word, a goal and its place, with the keyboard alone', async ({ visit }) => {
	const leader = await visit();
	const { page } = leader;
	await leader.signIn('p-l-marehalm');
	await expect(page.locator('[data-region="text"]')).toBeVisible();
	await choose(leader, 'marehalm 2027', 'Marehalm');
	await leader.ready();

	await choose(leader, 'værdierne', 'Værdierne hos os');
	await expect(page.getByRole('heading', { name: /Værdierne hos os/ })).toBeFocused();
	await page.keyboard.press('Tab');
	await expect(page.getByRole('button', { name: 'Kommentér afsnittet Værdierne hos os' })).toBeFocused();
	await page.keyboard.press('Tab');
	await expect(leader.text('Værdierne hos os')).toBeFocused();
	expect(await visibleFocus(leader)).toBe(true);
	const word = unique('tastatur');
	await page.keyboard.type(word);
	await leader.acknowledged();
	await page.keyboard.press('Control+s');
	await expect(page.locator('[data-announcements]')).toHaveText('Alt, hvad du har skrevet, er gemt.');

	const titles = page.locator('article.goal h3 .ProseMirror');
	const [first] = await titles.allInnerTexts();
	await choose(leader, 'flyt mål 1 ned', 'Flyt mål 1 ned');
	await expect(titles.first()).not.toHaveText(first ?? '');

	// Every stop on the way shows where the focus is.
	await page.keyboard.press('F6');
	for (let stop = 0; stop < 40; stop += 1) {
		await page.keyboard.press('Tab');
		const focus = await visibleFocus(leader);
		expect(focus, await page.evaluate(() => document.activeElement?.outerHTML.slice(0, 160) ?? '')).toBe(true);
		if (await page.evaluate(() => document.activeElement?.classList.contains('ProseMirror'))) await page.keyboard.press('Escape');
	}
});

/** *Gå til / gør*: opens it, types, and takes the first thing offered, which is this. */
async function choose({ page }: Visitor, words: string, offered: string): Promise<void> {
	await page.keyboard.press('Control+.');
	await expect(page.getByRole('dialog').getByRole('combobox')).toBeFocused();
	await page.keyboard.type(words);
	await expect(page.getByRole('dialog').getByRole('option', { selected: true })).toContainText(offered);
	await page.keyboard.press('Enter');
}

/** An outline, or in a text the bar beside it. */
function visibleFocus({ page }: Visitor): Promise<boolean> {
	return page.evaluate(() => {
		const active = document.activeElement;
		if (!active || active === document.body) return true;
		const shows = (style: CSSStyleDeclaration) =>
			(style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2) || style.boxShadow !== 'none' || parseFloat(style.borderInlineStartWidth) >= 2;
		return shows(getComputedStyle(active)) || shows(getComputedStyle(active, '::before'));
	});
}

test('R4 dialogs take the focus, are named in the page’s language and give the focus back', async ({ visit }) => {
	const leader = await visit();
	await leader.open('p-l-fjordskolen', 'Fjordskolen');
	const { page } = leader;
	for (const [opener, name] of [
		[page.getByRole('contentinfo').getByRole('button'), 'Hjælp og tastatur'],
		[page.getByRole('button', { name: 'Sammenhæng: vælg, hvad mål 1 hænger sammen med' }), 'Hvad hænger mål 1 sammen med?']
	] as const) {
		await opener.focus();
		await page.keyboard.press('Enter');
		const dialog = page.getByRole('dialog', { name });
		await expect(dialog).toBeVisible();
		expect(await dialog.evaluate((element) => element.contains(document.activeElement))).toBe(true);
		await page.keyboard.press('Escape');
		await expect(dialog).toHaveCount(0);
		await expect(opener).toBeFocused();
	}
});

const HERE_WHEN_I_CAME_MS = 2_000;

/** Forty words by the other, in the section where I am. */
const FORTY = Array.from({ length: 40 }, (_, index) => `ord${index}`).join(' ');

for (const [level, name, most] of [
	['off', 'Fra', 0],
	['short', 'Kort', 1],
	['full', 'Udførlig', 1]
] as const) {
	test(`R4 forty words by the other are at most one message in ten seconds: ${name}`, async ({ visit }) => {
		const [leader, head] = [await visit(), await visit()];
		await leader.page.addInitScript((level) => localStorage.setItem('samspil.announcements', level), level);
		await leader.open('p-l-klitskolen', 'Klitskolen');
		await leader.text('Ledelsesinformation og opfølgning').click();
		const heard = await leader.listen();
		// Whoever comes within two seconds of me was here when I came, and is not told.
		const came = Date.now();
		await expect.poll(() => Date.now() - came, { intervals: [100] }).toBeGreaterThan(HERE_WHEN_I_CAME_MS);

		await head.open('p-chef-skole', 'Klitskolen');
		await expect(leader.page.getByLabel('Til stede').getByRole('listitem')).toHaveCount(2);
		if (level !== 'off') await expect.poll(heard).toContain('Esben Opdigtsen er kommet til.');
		const started = Date.now();
		await head.writeIn('Ledelsesinformation og opfølgning', ` ${FORTY}`);
		await expect(leader.text('Ledelsesinformation og opfølgning')).toContainText(FORTY);
		const seconds = (Date.now() - started) / 1_000;

		const messages = await heard();
		const joined = messages.filter((words) => words.endsWith('er kommet til.'));
		const wrote = messages.filter((words) => words.includes('skriver i'));
		expect(joined).toHaveLength(level === 'off' ? 0 : 1);
		expect(messages).toHaveLength(joined.length + wrote.length);
		expect(wrote.length).toBeLessThanOrEqual(most * (Math.floor(seconds / 10) + 1));
		if (most > 0) expect(wrote[0]).toBe('Esben Opdigtsen skriver i Ledelsesinformation og opfølgning.');
	});
}

test('R4 a line that is lost and comes back is told once each', async ({ visit }) => {
	const leader = await visit();
	await leader.open('p-l-fjordskolen', 'Fjordskolen');
	const heard = await leader.listen();
	await leader.context.setOffline(true);
	await expect.poll(heard).toContain('Forbindelsen er væk.');
	await leader.context.setOffline(false);
	await expect.poll(heard).toContain('Forbindelsen er tilbage.');
	expect(await heard()).toEqual(['Forbindelsen er væk.', 'Forbindelsen er tilbage.']);
});

test('R4 who is here, where, and what changed is told on demand', async ({ visit }) => {
	const [leader, head] = [await visit(), await visit()];
	await leader.open('p-l-fjordskolen', 'Fjordskolen');
	await head.open('p-chef-skole', 'Fjordskolen');
	await head.writeIn('Rammer', ` ${unique('nyt')}`);
	await expect(leader.page.locator('.says')).toContainText('skriver i Rammer');
	await leader.page.keyboard.press('Control+.');
	await leader.page.keyboard.type('hvem er her');
	await leader.page.keyboard.press('Enter');
	const dialog = leader.page.getByRole('dialog', { name: 'Hvem er her, og hvad er ændret?' });
	await expect(dialog).toContainText('Esben Opdigtsen');
	await expect(dialog).toContainText('Esben Opdigtsen i Rammer');
	await leader.page.keyboard.press('Escape');
	await leader.page.keyboard.press('Control+.');
	await leader.page.keyboard.type('hvem er her');
	await leader.page.keyboard.press('Enter');
	await expect(dialog).toContainText('Ingen andre har skrevet, siden du sidst spurgte.');
});

test('R4 Back closes what lies over an agreement, then leads to where one was in it, and only then away', async ({ visit }) => {
	const leader = await visit();
	const { page } = leader;
	await leader.signIn('p-l-fjordskolen');
	const overview = page.url();
	await page.getByRole('main').locator(`a[href^="${await leader.pathOf('Fjordskolen')}"]`).first().click();
	await leader.ready();
	const agreement = page.url();
	const dialog = page.getByRole('dialog');

	const help = page.getByRole('contentinfo').getByRole('button');
	await help.click();
	await expect(dialog).toBeVisible();
	await page.goBack();
	await expect(dialog).toHaveCount(0);
	await expect(help).toBeFocused();
	expect(page.url()).toBe(agreement);

	// What was closed otherwise does not ask for a Back of its own.
	await help.click();
	await page.keyboard.press('Escape');
	await expect(dialog).toHaveCount(0);

	const outline = page.getByRole('navigation', { name: /^Indhold/ });
	await outline.getByRole('link', { name: 'Rammer' }).click();
	await expect(page).toHaveURL(/#rammer$/);
	await outline.getByRole('link', { name: 'Værdierne hos os' }).click();
	await expect(page).toHaveURL(/#vaerdier$/);
	await page.goBack();
	await expect(page).toHaveURL(/#rammer$/);
	await expect(page.locator('#rammer h2')).toBeInViewport();
	await page.goBack();
	await expect(page).toHaveURL(agreement);
	await page.goBack();
	await expect(page).toHaveURL(overview);
	await expect(page.getByRole('heading', { level: 1 })).toHaveText('Mandag den 23. november');
});
