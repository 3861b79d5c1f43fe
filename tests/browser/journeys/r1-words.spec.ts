/** R1: never lose words. */
import { killServer, restartServer, sql } from '../server.ts';
import { expect, test, unique, type Visitor } from '../visit.ts';

const VALUES = 'Værdierne hos os';
const TASK = 'Kerneopgave';
const FRAME = 'Rammer';

/** Both parties of an agreement, side by side. */
async function parties(visit: () => Promise<Visitor>, unit: keyof typeof PARTIES): Promise<[Visitor, Visitor]> {
	const both = [await visit(), await visit()] as [Visitor, Visitor];
	const [leader, counterpart] = PARTIES[unit];
	await Promise.all([both[0].open(leader, unit), both[1].open(counterpart, unit)]);
	return both;
}

const PARTIES = {
	Fjordskolen: ['p-l-fjordskolen', 'p-chef-skole'],
	Klitskolen: ['p-l-klitskolen', 'p-chef-skole'],
	'Plejecenter Marehalm': ['p-l-marehalm', 'p-chef-aeldre'],
	'Hjemmeplejen Nord': ['p-l-hjemmenord', 'p-chef-aeldre']
} as const;

/** The words of a text, one paragraph a line. */
function words(text: HTMLElement): string {
	return [...text.children].map((block) => block.textContent).join('\n');
}

/** Two hundred words a minute for most of a minute, without the minute: the server and the other browser see every key by itself. */
const KEYS_MS = 15;

test('R1 two write in the same paragraph at once, and both texts are complete', async ({ visit }) => {
	const [leader, head] = await parties(visit, 'Fjordskolen');
	const [hers, his] = [unique('Hanne'), unique('Esben')];
	const leaders = `${hers} skriver, at hver klasse har to voksne i de første timer om morgenen, og at forældrene ved, hvem de skal ringe til. ${hers} er færdig.`;
	const heads = `${his} skriver samtidig, at skolen selv vælger, hvordan timerne lægges, når blot trivslen måles to gange om året. ${his} er færdig.`;

	await Promise.all([leader.toEndOf(VALUES), head.toEndOf(VALUES)]);
	await Promise.all([leader.page.keyboard.type(leaders, { delay: KEYS_MS }), head.page.keyboard.type(heads, { delay: KEYS_MS })]);

	for (const one of [leader, head]) {
		await expect(one.text(VALUES)).toContainText(leaders);
		await expect(one.text(VALUES)).toContainText(heads);
	}
	await Promise.all([leader.acknowledged(), head.acknowledged()]);
	const text = await leader.text(VALUES).evaluate(words);
	expect(await head.text(VALUES).evaluate(words)).toBe(text);

	await Promise.all([leader.page.reload(), head.page.reload()]);
	await Promise.all([leader.ready(), head.ready()]);
	expect(await leader.text(VALUES).evaluate(words)).toBe(text);
	expect(await head.text(VALUES).evaluate(words)).toBe(text);
});

test('R1 what one writes is seen by the other within a second', async ({ visit }) => {
	const [leader, head] = await parties(visit, 'Klitskolen');
	const word = unique('straks');
	await leader.writeIn(VALUES, word);
	await expect(head.text(VALUES)).toContainText(word, { timeout: 1_000 });
});

test('R1 the caret stays where it was put while the other writes', async ({ visit }) => {
	const [leader, head] = await parties(visit, 'Klitskolen');
	await Promise.all([leader.toEndOf(TASK), head.toEndOf(TASK)]);
	const before = await leader.text(TASK).evaluate(words);
	let writes = true;
	const writing = (async () => {
		await head.page.keyboard.press('Control+End');
		while (writes) await head.page.keyboard.type('o', { delay: 5 });
	})();
	for (let round = 0; round < 15; round += 1) {
		await leader.page.keyboard.press('Control+End');
		await leader.page.keyboard.press('Control+Home');
		await leader.page.keyboard.type('x');
	}
	writes = false;
	await writing;
	await expect(leader.text(TASK)).toContainText('x'.repeat(15) + before.slice(0, 10));
});

test('R1 what is written offline survives a reload and reaches the other when the line is back', async ({ visit }) => {
	const [leader, head] = await parties(visit, 'Fjordskolen');
	await leader.kept();
	const [first, second] = [unique('første'), unique('anden')];

	await leader.context.setOffline(true);
	await leader.toEndOf(FRAME);
	await leader.page.keyboard.press('Enter');
	await leader.page.keyboard.type(first);
	await leader.page.keyboard.press('Enter');
	await leader.page.keyboard.type(second);
	await expect(leader.save).toHaveText('Ikke gemt – forbindelse mangler');
	await expect(leader.page.getByText('Ingen forbindelse.')).toBeVisible();

	// There are unsent words: the browser asks, and the answer is to go.
	let asked = false;
	leader.page.on('dialog', (dialog) => {
		asked = dialog.type() === 'beforeunload';
		void dialog.accept();
	});
	await leader.page.reload();
	expect(asked, 'leaving with unsent words is asked about').toBe(true);
	await expect(leader.text(FRAME)).toContainText(first);
	await expect(leader.text(FRAME)).toContainText(second);
	await expect(leader.save).toHaveText('Ikke gemt – forbindelse mangler');
	await expect(head.text(FRAME)).not.toContainText(first);

	await leader.context.setOffline(false);
	await expect(head.text(FRAME)).toContainText(first, { timeout: 5_000 });
	await expect(head.text(FRAME)).toContainText(second);
	await leader.acknowledged();
});

test('R1 more words than one frame takes, written offline, reach the other when the line is back', async ({ visit }) => {
	const [leader, head] = await parties(visit, 'Hjemmeplejen Nord');
	const text = leader.text(FRAME);
	const before = await text.evaluate(words);
	await leader.context.setOffline(true);
	await leader.toEndOf(FRAME);
	// A frame takes 1 MiB, and this is more.
	const last = unique('sidst');
	for (const ends of [unique('først'), unique('så'), unique('derpå'), last]) {
		await leader.page.keyboard.press('Enter');
		await leader.page.keyboard.insertText('mange ord '.repeat(30_000) + ends);
		await expect(text).toContainText(ends);
	}
	await expect(leader.save).toHaveText('Ikke gemt – forbindelse mangler');
	const mine = await text.evaluate(words);

	await leader.context.setOffline(false);
	await expect(head.text(FRAME)).toContainText(last, { timeout: 30_000 });
	await leader.acknowledged();
	expect(await head.text(FRAME).evaluate(words)).toBe(mine);
	expect(await text.evaluate(words)).toBe(mine);
	await expect(leader.page.locator('[data-kept-words]')).toHaveCount(0);

	// Other journeys come by here, too.
	while ((await text.evaluate(words)) !== before) await leader.page.keyboard.press('Control+z');
	await leader.acknowledged();
});

test('R1 a line that fell silent takes nothing from either side', async ({ visit }) => {
	const [leader, head] = await parties(visit, 'Plejecenter Marehalm');
	const [hers, his] = [unique('stille'), unique('imens')];
	await leader.toEndOf(VALUES);
	// Two minutes are not needed: the page gives a silent line up after ten seconds with words of its own waiting.
	leader.line.freeze();
	await leader.page.keyboard.type(` ${hers}`);
	await head.writeIn(VALUES, ` ${his}`);
	await head.acknowledged();
	await expect(leader.save).toHaveText(/^Ikke gemt/);
	await expect(leader.text(VALUES)).not.toContainText(his);
	leader.line.mend();
	for (const one of [leader, head]) {
		await expect(one.text(VALUES)).toContainText(hers, { timeout: 30_000 });
		await expect(one.text(VALUES)).toContainText(his);
	}
	await leader.acknowledged();
	expect(await leader.text(VALUES).evaluate(words)).toBe(await head.text(VALUES).evaluate(words));
});

test('R1 a suspended page wakes to both texts', async ({ visit }) => {
	const [leader, head] = await parties(visit, 'Plejecenter Marehalm');
	const [hers, his] = [unique('lukket'), unique('åben')];
	await leader.writeIn(TASK, ` ${hers}`);
	// The browser's own freezing of a page: no timer, no message. The socket is dropped meanwhile, as the server does after a while.
	const devtools = await leader.context.newCDPSession(leader.page);
	await devtools.send('Page.setWebLifecycleState', { state: 'frozen' });
	leader.line.cut();
	await head.writeIn(TASK, ` ${his}`);
	await head.acknowledged();
	leader.line.mend();
	await devtools.send('Page.setWebLifecycleState', { state: 'active' });
	for (const one of [leader, head]) {
		await expect(one.text(TASK)).toContainText(hers);
		await expect(one.text(TASK)).toContainText(his);
	}
});

test('R1 what stood as saved survives the death of the server', async ({ visit }) => {
	const [leader] = await parties(visit, 'Hjemmeplejen Nord');
	const word = unique('overlever');
	await leader.writeIn(VALUES, ` ${word}`);
	// The journey waits two seconds after *Gemt*; the server's own word makes waiting needless.
	await leader.acknowledged();
	await killServer();
	await leader.page.keyboard.type(' og videre');
	await expect(leader.save).toHaveText('Ikke gemt – forbindelse mangler');
	await restartServer();
	await leader.acknowledged();
	await expect(leader.text(VALUES)).toContainText(`${word} og videre`);

	const head = await visit();
	await head.open('p-chef-aeldre', 'Hjemmeplejen Nord');
	await expect(head.text(VALUES)).toContainText(`${word} og videre`);
});

test('R1 a text that cannot be loaded is an error and not an empty page', async ({ visit }) => {
	const leader = await visit();
	const path = await signedIn(leader, 'p-l-hjemmenord', 'Hjemmeplejen Nord');
	// A server that holds no text in memory, and cannot read whose words are whose.
	await killServer();
	await restartServer();
	const stored = () => sql('SELECT document_id, head, md5(state) FROM document_snapshot, document WHERE document_id = id ORDER BY 1, 2');
	const before = stored();
	sql('REVOKE SELECT ON document_client FROM samspil_app');
	try {
		await leader.page.goto(path);
		// What stands on the page around the text may need it too; then the whole page says so.
		await expect(leader.page.getByText(/^Teksten kunne ikke hentes|^Samspil kan ikke svare lige nu/)).toBeVisible({ timeout: 30_000 });
		await expect(leader.page.getByRole('textbox')).toHaveCount(0);
	} finally {
		sql('GRANT SELECT ON document_client TO samspil_app');
	}
	expect(stored()).toBe(before);
	await leader.page.getByRole('button', { name: 'Prøv igen' }).click();
	await leader.ready();
	await expect(leader.text(TASK)).toContainText(/\w+ \w+/);
});

async function signedIn(visitor: Visitor, person: `p-${string}`, unit: string): Promise<string> {
	await visitor.signIn(person);
	return visitor.pathOf(unit);
}

test('R1 a new agreement that two open at once has its template once', async ({ visit }) => {
	const [leader, head] = [await visit(), await visit()];
	const unit = 'Børnehuset Østerklit';
	const [path] = await Promise.all([signedIn(leader, 'p-l-oesterklit-2', unit), signedIn(head, 'p-chef-dagtilbud', unit)]);
	await Promise.all([leader.page.goto(path), head.page.goto(path)]);
	await Promise.all([leader.ready(), head.ready()]);
	for (const one of [leader, head]) {
		for (const title of [TASK, FRAME, VALUES, 'Ledelsesinformation og opfølgning']) {
			await expect(one.text(title)).toHaveCount(1);
			await expect(one.text(title).locator('p')).toHaveCount(1);
			await expect(one.text(title)).toHaveText('');
		}
	}
	const [hers, his] = [unique('Lasse'), unique('Freja')];
	await Promise.all([leader.toEndOf(TASK), head.toEndOf(TASK)]);
	await Promise.all([leader.page.keyboard.type(hers), head.page.keyboard.type(his)]);
	for (const one of [leader, head]) {
		await expect(one.text(TASK)).toContainText(hers);
		await expect(one.text(TASK)).toContainText(his);
		await expect(one.text(TASK).locator('p')).toHaveCount(1);
	}
});

test('R1 offline without words of one’s own: no question, nothing red', async ({ visit }) => {
	const [leader] = await parties(visit, 'Klitskolen');
	await leader.kept();
	// A browser lets a page ask only once the person has touched it.
	await leader.text(TASK).click();
	await leader.context.setOffline(true);
	await expect(leader.save).toHaveText('Forbinder igen. Alt, du har skrevet, er gemt');
	await expect(leader.save).not.toHaveClass(/unsaved/);
	await expect(leader.page.getByText('Du kan læse og skrive videre.')).toBeVisible();
	let asked = false;
	leader.page.on('dialog', (dialog) => {
		asked = true;
		void dialog.accept();
	});
	await leader.page.reload();
	await expect(leader.text(TASK)).toContainText(/\w+ \w+/);
	expect(asked, 'leaving is asked about').toBe(false);
});

test('R1 the status is in view at 320 pixels, saved or not', async ({ visit }) => {
	const leader = await visit({ width: 320, height: 640 });
	await leader.open('p-l-klitskolen', 'Klitskolen');
	await expect(leader.save).toBeInViewport({ ratio: 1 });
	await leader.context.setOffline(true);
	await leader.writeIn(VALUES, unique('smal'));
	await expect(leader.save).toHaveText('Ikke gemt – forbindelse mangler');
	await expect(leader.save).toBeInViewport({ ratio: 1 });
	await leader.context.setOffline(false);
	await leader.acknowledged();
});

test('R1 undo takes my own words only, also after the line was away', async ({ visit }) => {
	const [leader, head] = await parties(visit, 'Hjemmeplejen Nord');
	const [first, his, second] = [unique('et'), unique('hans'), unique('to')];
	await leader.writeIn(FRAME, ` ${first}`);
	await expect(head.text(FRAME)).toContainText(first);
	await head.writeIn(FRAME, ` ${his}`);
	await expect(leader.text(FRAME)).toContainText(his);

	await leader.page.keyboard.press('Control+z');
	await expect(leader.text(FRAME)).not.toContainText(first);
	await expect(leader.text(FRAME)).toContainText(his);
	await expect(head.text(FRAME)).not.toContainText(first);
	await expect(head.text(FRAME)).toContainText(his);
	await leader.page.keyboard.press('Control+y');
	await expect(head.text(FRAME)).toContainText(first);

	await leader.writeIn(FRAME, ` ${second}`);
	await leader.acknowledged();
	leader.line.cut();
	await expect(leader.save).toHaveText('Forbinder igen. Alt, du har skrevet, er gemt');
	leader.line.mend();
	await expect(leader.save).toHaveText('Gemt');
	await leader.text(FRAME).focus();
	await leader.page.keyboard.press('Control+z');
	for (const one of [leader, head]) {
		await expect(one.text(FRAME)).not.toContainText(second);
		await expect(one.text(FRAME)).toContainText(his);
	}
	await leader.acknowledged();
});
