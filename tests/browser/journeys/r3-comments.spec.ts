/** R3: comments that hold. R12: proposed wording. And the comment lines of R4. */
import type { Locator } from '@playwright/test';
import { expect, test, unique, type Visitor } from '../visit.ts';

const VALUES = 'Værdierne hos os';
const FRAME = 'Rammer';

/** Leader and counterpart of Fjordskolen's agreement, and an employee who may comment and not write. */
async function three(visit: () => Promise<Visitor>): Promise<[Visitor, Visitor, Visitor]> {
	const all = [await visit(), await visit(), await visit()] as const;
	await Promise.all([all[0].open('p-l-fjordskolen', 'Fjordskolen'), all[1].open('p-chef-skole', 'Fjordskolen'), all[2].open('p-tr-fjord', 'Fjordskolen')]);
	return [...all];
}

const margin = ({ page }: Visitor) => page.getByRole('complementary', { name: 'Kommentarer' });
const note = (visitor: Visitor, words: string) => margin(visitor).getByRole('article').filter({ hasText: words });
const marked = (visitor: Visitor, words: string) => visitor.page.locator('mark.comment-mark', { hasText: words }).first();

/** The marked words of the thread in which this was said. Somebody's caret may stand in the middle of them. */
async function expectMarked(visitor: Visitor, said: string, words: string): Promise<void> {
	const id = await visitor.page.locator('[data-note]', { hasText: said }).getAttribute('data-note');
	await expect.poll(async () => (await visitor.page.locator(`mark[data-thread="${id}"]`).allTextContents()).join('')).toBe(words);
}

/** A paragraph of its own in a text, on the server and with everybody. */
async function paragraph(writer: Visitor, title: string, words: string): Promise<void> {
	await writer.toEndOf(title);
	await writer.page.keyboard.press('Enter');
	await writer.page.keyboard.type(words);
	await writer.acknowledged();
}

/** Selects words in a text, as with a mouse. */
async function select(visitor: Visitor, words: string): Promise<void> {
	await visitor.page.locator('.write p', { hasText: words }).last().evaluate((paragraph, words) => {
		const walker = document.createTreeWalker(paragraph, NodeFilter.SHOW_TEXT);
		let text = '';
		const nodes: { node: Text; from: number }[] = [];
		for (let node = walker.nextNode(); node; node = walker.nextNode()) {
			nodes.push({ node: node as Text, from: text.length });
			text += (node as Text).data;
		}
		const at = (offset: number) => {
			const found = nodes.findLast(({ from }) => from <= offset) ?? nodes[0]!;
			return [found.node, offset - found.from] as const;
		};
		const from = text.indexOf(words);
		const range = document.createRange();
		range.setStart(...at(from));
		range.setEnd(...at(from + words.length));
		paragraph.closest<HTMLElement>('[contenteditable="true"]')?.focus();
		const selection = getSelection()!;
		selection.removeAllRanges();
		selection.addRange(range);
	}, words);
}

/** Selects whole paragraphs: from the one with the first words to the one with the last. */
async function selectParagraphs(visitor: Visitor, first: string, last: string): Promise<void> {
	const end = await visitor.page.locator('.write p', { hasText: last }).last().elementHandle();
	await visitor.page.locator('.write p', { hasText: first }).last().evaluate((start, end) => {
		start.closest<HTMLElement>('[contenteditable="true"]')?.focus();
		getSelection()!.setBaseAndExtent(start, 0, end!, end!.childNodes.length);
	}, end);
}

async function comment(visitor: Visitor, words: string, said: string): Promise<Locator> {
	await select(visitor, words);
	await visitor.page.getByRole('button', { name: 'Kommentér', exact: true }).click();
	await visitor.page.getByRole('textbox', { name: 'Din kommentar' }).fill(said);
	await visitor.page.getByRole('button', { name: 'Send', exact: true }).click();
	await expect(note(visitor, said)).toBeVisible();
	return note(visitor, said);
}

test('R3 who may not write comments on words, and the parties see it within two seconds', async ({ visit }) => {
	const [leader, head, employee] = await three(visit);
	const [words, said] = [unique('skovture'), unique('Hvem')];
	await paragraph(leader, VALUES, `Vi tager på ${words} hver uge.`);
	await expect(employee.text(VALUES)).toHaveCount(0);
	await expect(employee.page.locator('.write', { hasText: words }).first()).toBeVisible();

	await comment(employee, words, `${said} tager med?`);
	for (const one of [leader, head]) {
		await expect(note(one, said)).toBeVisible({ timeout: 2_000 });
		await expect(marked(one, words)).toHaveText(words);
	}
	// The answer goes back as fast, and the note stands level with its words.
	await marked(head, words).click();
	await note(head, said).getByRole('textbox', { name: 'Svar på kommentaren' }).fill('Alle årgange.');
	await note(head, said).getByRole('button', { name: 'Svar', exact: true }).click();
	await note(employee, said).click();
	await expect(note(employee, said)).toContainText('Alle årgange.', { timeout: 2_000 });
	const [mark, beside] = [await marked(head, words).boundingBox(), await note(head, said).boundingBox()];
	expect(Math.abs(mark!.y - beside!.y)).toBeLessThan(60);
});

test('R3 R12 a comment follows its words: edited around, split, taken away, undone, cut and pasted elsewhere', async ({ visit }) => {
	const [leader, head] = await three(visit);
	const [one, two, said] = [unique('højt'), unique('læsning'), unique('husk')];
	await paragraph(leader, VALUES, `Før ${one} ${two} efter.`);
	await comment(leader, `${one} ${two}`, said);

	// The other writes in front and behind.
	await head.toEndOf(VALUES);
	await head.page.keyboard.type(' Slut.');
	await expectMarked(head, said, `${one} ${two}`);

	// A split in the middle keeps the mark on the same words.
	await select(leader, two);
	await leader.page.keyboard.press('ArrowLeft');
	await leader.page.keyboard.press('Enter');
	await leader.acknowledged();
	for (const visitor of [leader, head]) await expectMarked(visitor, said, `${one} ${two}`);
	await leader.page.keyboard.press('Backspace');
	await expectMarked(head, said, `${one} ${two}`);

	// The words go: the thread stays, under *Løsrevne*, with its quote. Undo brings them back to each other.
	await select(leader, `Før ${one} ${two} efter. Slut.`);
	await leader.page.keyboard.press('Delete');
	for (const visitor of [leader, head]) {
		const detached = margin(visitor).getByRole('region', { name: 'Løsrevne' });
		await expect(detached).toContainText(`${one} ${two}`);
		await expectMarked(visitor, said, '');
	}
	await leader.text(VALUES).focus();
	await leader.page.keyboard.press('Control+z');
	await expectMarked(head, said, `${one} ${two}`);
	await expect(margin(head).getByRole('region', { name: 'Løsrevne' })).toHaveCount(0);

	// Cut and pasted in another section. When join and deletion came close together, one undo takes back both: two paragraphs.
	await selectParagraphs(leader, `Før ${one}`, `${two} efter. Slut.`);
	await leader.page.keyboard.press('Control+x');
	await expect(margin(head).getByRole('region', { name: 'Løsrevne' })).toContainText(one);
	await leader.toEndOf(FRAME);
	await leader.page.keyboard.press('Enter');
	await leader.page.keyboard.press('Control+v');
	await expect(head.text(FRAME).locator('mark.comment-mark').first()).toBeVisible();
	await expectMarked(head, said, `${one} ${two}`);
});

test('R3 a resolved thread is found again, says by whom and when, and can be reopened', async ({ visit }) => {
	const [leader, head] = await three(visit);
	const [words, said] = [unique('fravær'), unique('Er')];
	await paragraph(leader, VALUES, `Vi følger ${words} tæt.`);
	const own = await comment(leader, words, `${said} det nok?`);
	await own.getByRole('button', { name: 'Løst' }).click();
	await expect(note(leader, said)).toHaveCount(0);
	await expect(head.page.locator('mark.comment-mark', { hasText: words })).toHaveCount(0);

	await margin(head).getByRole('combobox', { name: 'Vis' }).selectOption({ label: (await margin(head).getByRole('option', { name: /^Løste/ }).textContent())! });
	await note(head, said).click();
	await expect(note(head, said)).toContainText('Løst af Hanne Påfundsen i dag');
	await note(head, said).getByRole('button', { name: 'Genåbn', exact: true }).click();
	await expect(marked(leader, words)).toHaveText(words);
	await expect(note(leader, said)).toBeVisible();
});

test('R3 two who resolve at once: both are told, nothing fails', async ({ visit }) => {
	const [leader, head] = await three(visit);
	const [words, said] = [unique('samtidig'), unique('Nu')];
	await paragraph(leader, VALUES, `Vi løser ${words} sammen.`);
	const id = await (await comment(leader, words, said)).getAttribute('data-note');
	// The other's caret may stand in the middle of the words.
	for (const one of [head, leader]) await one.page.locator(`mark[data-thread="${id}"]`).first().click();
	await Promise.all([leader, head].map((one) => note(one, said).getByRole('button', { name: 'Løst' }).click()));
	for (const one of [leader, head]) await expect(note(one, said)).toHaveCount(0);
});

test('R12 a commenter proposes, an editor inserts once, and changed words are not replaced blindly', async ({ visit }) => {
	const [leader, head, employee] = await three(visit);
	const [old, fresh, said] = [unique('gammel'), unique('ny'), unique('bedre')];
	await paragraph(leader, VALUES, `Her står en ${old} ordlyd.`);
	await expect(employee.page.locator('.write', { hasText: old }).first()).toBeVisible();
	await select(employee, old);
	await employee.page.getByRole('button', { name: 'Kommentér', exact: true }).click();
	await employee.page.getByRole('button', { name: 'Foreslå ny ordlyd' }).click();
	await employee.page.getByRole('textbox', { name: 'Ny ordlyd' }).fill(fresh);
	await employee.page.getByRole('textbox', { name: 'Din kommentar' }).fill(said);
	await employee.page.getByRole('button', { name: 'Send', exact: true }).click();
	await expect(note(employee, said).getByRole('button', { name: 'Indsæt' })).toHaveCount(0);

	await Promise.all([leader, head].map((one) => marked(one, old).click()));
	for (const one of [leader, head]) {
		await expect(note(one, said).locator('del')).toHaveText(old);
		await expect(note(one, said).locator('ins')).toHaveText(fresh);
	}
	await Promise.all([leader, head].map((one) => note(one, said).getByRole('button', { name: 'Indsæt' }).click()));
	for (const one of [leader, head]) {
		await expect(one.text(VALUES)).toContainText(`Her står en ${fresh} ordlyd.`);
		await expect(note(one, said)).toContainText('Indsat af');
	}
	expect((await leader.text(VALUES).innerText()).split(fresh)).toHaveLength(2);
	// The thread stands on them now; and on the old ones again when they come back.
	for (const one of [leader, head, employee]) await expectMarked(one, said, fresh);
	await expect(margin(head).getByRole('region', { name: 'Løsrevne' })).toHaveCount(0);
	const inserter = (await note(leader, said).getByText(/Indsat af (.*?) i dag/).textContent())!.includes('Hanne') ? leader : head;
	await inserter.text(VALUES).focus();
	await inserter.page.keyboard.press('Control+z');
	for (const one of [leader, head]) {
		await expectMarked(one, said, old);
		await expect(one.text(VALUES)).not.toContainText(fresh);
	}
	await inserter.page.keyboard.press('Control+y');
	for (const one of [leader, head]) await expectMarked(one, said, fresh);

	// Another proposal, and the words change before anybody inserts it.
	const [other, better] = [unique('skæv'), unique('lige')];
	await paragraph(leader, VALUES, `Linjen er ${other} her.`);
	await select(leader, other);
	await leader.page.getByRole('button', { name: 'Kommentér', exact: true }).click();
	await leader.page.getByRole('button', { name: 'Foreslå ny ordlyd' }).click();
	await leader.page.getByRole('textbox', { name: 'Ny ordlyd' }).fill(better);
	await leader.page.getByRole('textbox', { name: 'Din kommentar' }).fill(other);
	await leader.page.getByRole('button', { name: 'Send', exact: true }).click();
	await expect(marked(head, other)).toHaveText(other);
	await select(head, other);
	await head.page.keyboard.press('ArrowRight');
	await head.page.keyboard.press('ArrowLeft');
	await head.page.keyboard.type('midt');
	await head.acknowledged();
	await marked(leader, 'midt').click();
	await margin(leader).getByRole('article').filter({ hasText: better }).getByRole('button', { name: 'Indsæt' }).click();
	await expect(margin(leader)).toContainText('Ordene er ændret, siden forslaget blev skrevet');
	await expect(leader.text(VALUES)).not.toContainText(better);
});

test('R4 the comments are reached, written, answered and resolved with the keyboard alone', async ({ visit }) => {
	const leader = await visit();
	await leader.open('p-l-fjordskolen', 'Fjordskolen');
	const [words, said] = [unique('tastatur'), unique('Kan')];
	await paragraph(leader, VALUES, words);
	for (let letter = 0; letter < words.length; letter += 1) await leader.page.keyboard.press('Shift+ArrowLeft');
	await leader.page.keyboard.press('Control+.');
	await leader.page.keyboard.type('Kommentér det markerede');
	await leader.page.keyboard.press('Enter');
	await expect(leader.page.getByRole('textbox', { name: 'Din kommentar' })).toBeFocused();
	await leader.page.keyboard.type(`${said} man det?`);
	await leader.page.keyboard.press('Control+Enter');
	await expect(note(leader, said)).toBeFocused();
	await expect(note(leader, said)).toHaveAccessibleName(`Kommentar til »${words}«`);
	await leader.page.keyboard.press('Escape');
	await expect(leader.text(VALUES)).toBeFocused();
	await expect(marked(leader, words)).toHaveAttribute('aria-details', /^thread-/);

	await leader.page.keyboard.press('Control+.');
	await leader.page.keyboard.type('Næste kommentar');
	await leader.page.keyboard.press('Enter');
	await expect(leader.page.locator('[data-note]:focus')).toHaveCount(1);
});

test('R3 bad input keeps what was typed and says what is wrong', async ({ visit }) => {
	const leader = await visit();
	await leader.open('p-l-fjordskolen', 'Fjordskolen');
	const words = unique('vanskelig');
	await paragraph(leader, VALUES, `En ${words} sætning.`);
	await select(leader, words);
	await leader.page.getByRole('button', { name: 'Kommentér', exact: true }).click();
	const field = leader.page.getByRole('textbox', { name: 'Din kommentar' });
	await leader.page.getByRole('button', { name: 'Send', exact: true }).click();
	await expect(margin(leader)).toContainText('Skriv noget først.');
	await field.fill('a'.repeat(4_001));
	await leader.page.getByRole('button', { name: 'Send', exact: true }).click();
	await expect(margin(leader)).toContainText('Der er plads til 4000 tegn');
	await expect(field).toHaveValue('a'.repeat(4_001));
	await field.fill('Eleven 010203-1234 <img src=x onerror=alert(1)>');
	await leader.page.getByRole('button', { name: 'Send', exact: true }).click();
	await expect(margin(leader)).toContainText('Det ligner et CPR-nummer.');
	await leader.page.getByRole('button', { name: 'Send alligevel' }).click();
	await expect(note(leader, '<img src=x onerror=alert(1)>')).toBeVisible();
});
