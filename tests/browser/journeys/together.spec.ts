/** Two at one agreement, and what else a first issue must hold: R4, R5, R11 and R14 where they meet R1. */
import { expect, test, unique, type Visitor } from '../visit.ts';

async function fjordskolen(visit: () => Promise<Visitor>): Promise<[Visitor, Visitor]> {
	const [leader, head] = [await visit(), await visit()];
	await Promise.all([leader.open('p-l-fjordskolen', 'Fjordskolen'), head.open('p-chef-skole', 'Fjordskolen')]);
	return [leader, head];
}

test('R1 R4 each sees where the other writes: caret, name and a sentence', async ({ visit }) => {
	const [leader, head] = await fjordskolen(visit);
	await head.writeIn('Rammer', ` ${unique('her')}`);
	const caret = leader.text('Rammer').locator('.caret');
	await expect(caret).toHaveAttribute('data-name', 'Esben');
	await expect.poll(() => caret.evaluate((element) => getComputedStyle(element, '::after').content)).toContain('Esben');
	await expect(leader.page.locator('.says')).toContainText('Esben skriver i Rammer');
	await expect(leader.page.getByLabel('Til stede').getByRole('listitem')).toHaveCount(2);
	await leader.writeIn('Kerneopgave', ` ${unique('der')}`);
	await expect(head.text('Kerneopgave').locator('.caret')).toHaveAttribute('data-name', 'Hanne');
	await expect(head.page.locator('.says')).toContainText('Hanne skriver i Kerneopgave');
	await head.close();
	await expect(leader.page.locator('.caret')).toHaveCount(0);
	await expect(leader.page.getByLabel('Til stede').getByRole('listitem')).toHaveCount(1);
});

/** As Word puts it on the clipboard, shortened. */
const FROM_WORD = `<html xmlns:o="urn:schemas-microsoft-com:office:office"><head><style>p.MsoNormal{margin:0}</style></head><body>
<h2><span style="mso-fareast-font-family:Calibri">Fra Word<o:p></o:p></span></h2>
<p class="MsoNormal" style="font-size:11pt"><b>Fed</b> og <i>kursiv</i><o:p></o:p></p>
<ul><li class="MsoListParagraph">Første punkt</li><li class="MsoListParagraph">Andet punkt</li></ul>
<table class="MsoTableGrid" border="1"><tr><td><p class="MsoNormal">År</p></td><td><p class="MsoNormal">Elever</p></td></tr>
<tr><td><p class="MsoNormal">2027</p></td><td><p class="MsoNormal">512</p></td></tr></table><p>Slut</p></body></html>`;

test('R1 what is pasted from Word keeps headings, lists and tables, for both', async ({ visit }) => {
	const [leader, head] = await fjordskolen(visit);
	const text = await leader.toEndOf('Ledelsesinformation og opfølgning');
	await leader.page.keyboard.press('Enter');
	await text.evaluate((element, html) => {
		const data = new DataTransfer();
		data.setData('text/html', html);
		data.setData('text/plain', 'Fra Word');
		element.dispatchEvent(new ClipboardEvent('paste', { clipboardData: data, bubbles: true, cancelable: true }));
	}, FROM_WORD);
	for (const one of [leader, head]) {
		const pasted = one.text('Ledelsesinformation og opfølgning');
		await expect(pasted.locator('h2, h3, h4').filter({ hasText: 'Fra Word' })).toHaveCount(1);
		await expect(pasted.locator('strong')).toContainText(['Fed']);
		await expect(pasted.locator('li').filter({ hasText: 'Andet punkt' })).toHaveCount(1);
		await expect(pasted.locator('table tr')).toHaveCount(2);
		await expect(pasted.locator('table')).toContainText('512');
		expect(await pasted.innerHTML()).not.toMatch(/Mso|mso-|<o:/);
	}
	await leader.page.keyboard.press('Control+z');
	await expect(head.text('Ledelsesinformation og opfølgning').locator('table')).toHaveCount(0);
});

test('R5 a goal is written by both, added, moved, deleted and brought back', async ({ visit }) => {
	const [leader, head] = [await visit(), await visit()];
	await Promise.all([leader.open('p-l-marehalm', 'Plejecenter Marehalm'), head.open('p-chef-aeldre', 'Plejecenter Marehalm')]);
	const titles = (of: Visitor) => of.page.locator('article.goal h3 .ProseMirror');
	const before = await titles(leader).count();
	const [hers, his] = [unique('Mogens'), unique('Gunnar')];
	await Promise.all([leader.writeIn('Mål 1: beskrivelse', ` ${hers}`), head.writeIn('Mål 1: titel', ` ${his}`)]);
	for (const one of [leader, head]) {
		await expect(one.text('Mål 1: beskrivelse')).toContainText(hers);
		await expect(one.text('Mål 1: titel')).toContainText(his);
	}

	// Two goals in one section, so that they can change places.
	const section = leader.page.locator('section#egne_maal');
	const [one, two] = [unique('Nyt'), unique('Andet')];
	for (const title of [one, two]) {
		await section.getByRole('button', { name: 'Tilføj mål' }).click();
		await expect(section.locator('h3 .ProseMirror').last()).toBeFocused();
		await leader.page.keyboard.type(title);
		await expect(titles(head).filter({ hasText: title })).toHaveCount(1);
	}
	const ownOf = (of: Visitor) => of.page.locator('section#egne_maal h3 .ProseMirror');
	await section.getByRole('button', { name: /^Flyt mål \d+ op$/ }).last().click();
	await expect.poll(async () => (await ownOf(head).allInnerTexts()).slice(-2)).toEqual([two, one]);

	// Who stands in a goal that the other deletes is told, and is not left nowhere.
	await titles(head).filter({ hasText: one }).click();
	await section.locator('article.goal').last().getByRole('button', { name: /^Flere handlinger/ }).click();
	await leader.page.getByRole('menuitem', { name: 'Slet målet' }).click();
	await expect(head.page.locator('#egne_maal-title')).toBeFocused();
	await expect(head.page.locator('[data-announcements]')).toHaveText(new RegExp(`»${one}« er slettet`));
	await expect(titles(head).filter({ hasText: one })).toHaveCount(0);
	await leader.page.getByRole('button', { name: 'Fortryd' }).filter({ hasText: 'Fortryd' }).click();
	await expect(titles(head).filter({ hasText: one })).toHaveCount(1);
	await expect(titles(leader)).toHaveCount(before + 2);
	await leader.acknowledged();
});

test('R5 a goal of the chain that is picked shows its way up', async ({ visit }) => {
	const [leader, head] = [await visit(), await visit()];
	await Promise.all([leader.open('p-l-klitskolen', 'Klitskolen'), head.open('p-chef-skole', 'Klitskolen')]);
	const chain = (of: Visitor) => of.page.locator('article.goal').first().locator('ol.chain');
	const before = await chain(leader).count();
	await leader.page.getByRole('button', { name: 'Sammenhæng: vælg, hvad mål 1 hænger sammen med' }).click();
	const dialog = leader.page.getByRole('dialog');
	await dialog.getByRole('searchbox').fill('strategi');
	await expect(dialog.getByRole('status')).toHaveText(/\d+ mål fundet/);
	const linked = (await chain(leader).allInnerTexts()).join(' ');
	const options = await dialog.getByRole('radio', { name: /strategi/i }).all();
	let title = '';
	for (const option of options) {
		title = (await option.locator('..').locator('b').innerText()).trim();
		if (!linked.includes(title)) {
			await option.check();
			break;
		}
	}
	await dialog.getByRole('button', { name: 'Tilføj sammenhængen' }).click();
	await leader.page.keyboard.type('Det hører sammen.');
	await leader.page.keyboard.press('Escape');
	for (const one of [leader, head]) {
		await expect.poll(() => chain(one).count()).toBeGreaterThan(before);
		await expect(chain(one).filter({ hasText: title }).first()).toContainText('Det hører sammen.');
		// Up to the vision, in words.
		await expect(chain(one).filter({ hasText: title }).first().getByRole('listitem')).not.toHaveCount(1);
	}
});

test('R11 signing out leaves no copy of the text on a shared computer', async ({ visit }) => {
	const leader = await visit();
	await leader.open('p-l-klitskolen', 'Klitskolen');
	const copies = () => leader.page.evaluate(async () => (await indexedDB.databases()).map(({ name }) => name));
	await expect.poll(copies).not.toEqual([]);
	await leader.page.getByRole('button', { name: /Ib Kladdestrup/ }).click();
	await leader.page.getByRole('menuitem', { name: 'Log ud' }).click();
	await expect(leader.page.getByRole('heading', { name: 'Log ind' })).toBeVisible();
	expect(await copies()).toEqual([]);
	expect(await leader.page.evaluate(() => Object.keys(localStorage).filter((key) => key.includes('kept') || key.endsWith('.me')))).toEqual([]);
	await leader.page.goBack();
	await expect(leader.page.getByRole('textbox')).toHaveCount(0);
});

test('R11 who may not see an agreement is told so in words, and sees nothing of it', async ({ visit }) => {
	const [leader, other] = [await visit(), await visit()];
	await leader.signIn('p-l-fjordskolen');
	const path = await leader.pathOf('Fjordskolen');
	await other.signIn('p-l-vejpark', path);
	await expect(other.page.getByRole('heading', { level: 1 })).toHaveText('Siden findes ikke, eller du har ikke adgang til den');
	await expect(other.page.getByText('Kerneopgave')).toHaveCount(0);
	await expect(other.page).toHaveTitle(/Samspil/);
});

test('R11 a reader reads, is told why, and cannot write', async ({ visit }) => {
	const reader = await visit();
	await reader.open('p-kd', 'Fjordskolen');
	await expect(reader.page.getByText('Du kan læse aftalen.')).toBeVisible();
	await expect(reader.page.getByRole('textbox')).toHaveCount(0);
	await expect(reader.page.getByRole('toolbar')).toHaveCount(0);
	const text = reader.page.getByRole('group', { name: 'Kerneopgave', exact: true });
	const before = await text.innerText();
	await text.click();
	await reader.page.keyboard.type('x');
	expect(await text.innerText()).toBe(before);
});

test('R14 a phone that loses its line in the middle of a word keeps it', async ({ visit }) => {
	const phone = await visit({ width: 390, height: 780, touch: true });
	const desk = await visit();
	await phone.open('p-l-marehalm', 'Plejecenter Marehalm');
	await desk.open('p-chef-aeldre', 'Plejecenter Marehalm');
	const [hers, his] = [unique('mobil'), unique('bord')];
	await phone.toEndOf('Rammer');
	await phone.page.keyboard.type(` ${hers.slice(0, 4)}`);
	phone.line.cut();
	await phone.page.keyboard.type(hers.slice(4));
	await expect(phone.save).toHaveText(/^Ikke gemt/);
	await desk.writeIn('Rammer', ` ${his}`);
	await desk.acknowledged();
	phone.line.mend();
	// What the other wrote behind the half word may stand within it now; no letter of either is gone.
	for (const one of [phone, desk]) {
		await expect(one.text('Rammer')).toContainText(his, { timeout: 30_000 });
		await expect.poll(async () => (await one.text('Rammer').innerText()).replace(` ${his}`, ''), { timeout: 30_000 }).toContain(hers);
	}
	// Enter beside the other's caret is one new line.
	const paragraphs = await phone.text('Rammer').locator('p').count();
	await phone.page.keyboard.press('Control+End');
	await phone.page.keyboard.press('Enter');
	for (const one of [phone, desk]) await expect(one.text('Rammer').locator('p')).toHaveCount(paragraphs + 1);
});
