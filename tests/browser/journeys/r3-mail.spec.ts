/** R3: those concerned hear of it by mail, without being flooded. The mail is read in the demo's own page of mail. */
import type { Locator, Page } from '@playwright/test';
import { server, sql } from '../server.ts';
import { expect, test, unique, type Person, type Visitor } from '../visit.ts';

const UNIT = 'Hjemmeplejen Nord';
/** Who is written to, and who writes. */
const LEADER = { id: 'p-l-hjemmenord', name: 'Nadia Øvebakke', address: 'naov@klitfjord.example' } as const;
const HEAD: Person = 'p-chef-aeldre';

const margin = ({ page }: Visitor) => page.getByRole('complementary', { name: 'Kommentarer' });
const note = (visitor: Visitor, words: string) => margin(visitor).getByRole('article').filter({ hasText: words });

/** A comment on a section; with @, somebody is named. */
async function comment(writer: Visitor, said: string, named?: string): Promise<void> {
	await writer.page.getByRole('button', { name: 'Kommentér afsnittet Rammer' }).click();
	const field = writer.page.getByRole('textbox', { name: 'Din kommentar' });
	await field.fill(`${said} `);
	if (named) {
		await field.pressSequentially(`@${named.split(' ')[0]}`);
		await writer.page.getByRole('option', { name: named }).click();
	}
	await writer.page.getByRole('button', { name: 'Send', exact: true }).click();
	await expect(note(writer, said)).toBeVisible();
}

/** Ten minutes, for what has been told and not mailed: what waits was told ten minutes earlier. */
function tenMinutesPass(): void {
	sql(`UPDATE notification SET at = at - interval '10 minutes' WHERE settled_at IS NULL`);
}

/** The mails that the leader had before, from whatever came first. */
let before = 0;
test.beforeAll(async () => {
	tenMinutesPass();
	const waiting = () => sql('SELECT (SELECT count(*) FROM notification WHERE settled_at IS NULL) + (SELECT count(*) FROM mail WHERE next_at IS NOT NULL)');
	await expect.poll(() => waiting().trim(), { timeout: 20_000 }).toBe('0');
	before = Number(sql(`SELECT count(*) FROM mail WHERE recipient LIKE '%${LEADER.address}%'`));
});

/** The mails to the leader, newest first, once so many have come. */
async function mails(page: Page, many: number): Promise<Locator> {
	const list = page.getByRole('listitem').filter({ hasText: `til ${LEADER.address}` });
	await expect
		.poll(async () => {
			await page.goto('/demo/mail');
			return list.count();
		})
		.toBe(before + many);
	return list;
}

async function signOut({ page }: Visitor): Promise<void> {
	await page.locator('header.top .push button.me').click();
	await page.getByRole('menuitem', { name: 'Log ud' }).click();
	await expect(page.getByRole('link', { name: 'Log ind' })).toBeVisible();
}

/** How the leader hears of a kind of thing. */
async function choices(leader: Visitor): Promise<Locator> {
	await leader.page.getByRole('button', { name: /^Nyt/ }).click();
	const dialog = leader.page.getByRole('dialog');
	await dialog.getByRole('button', { name: 'Vælg, hvad du vil høre om' }).click();
	return dialog;
}

test('R3 named while signed out: one mail, in Danish, whose link leads through the sign-in to the thread', async ({ visit }) => {
	const [leader, head] = [await visit(), await visit()];
	await leader.signIn(LEADER.id);
	await signOut(leader);
	await head.open(HEAD, UNIT);
	const said = unique('Hvad siger du');
	await comment(head, said, LEADER.name);
	tenMinutesPass();

	const { page } = leader;
	await (await mails(page, 1)).getByRole('link', { name: /Gunnar Tænkelund nævner dig$/ }).click();
	await expect(page.getByRole('main')).toContainText('Hej Nadia');
	await expect(page.getByRole('main')).toContainText('Du ser, hvad der er skrevet, når du har logget ind. Ordene står ikke i denne mail.');
	await expect(page.getByRole('main')).not.toContainText(said);
	await page.getByRole('link', { name: /#thread-/ }).click();
	await page.getByRole('link', { name: 'Log ind' }).click();
	await expect(page).toHaveURL(new RegExp(`^${server().identityProvider}`));
	await page.getByRole('button', { name: LEADER.name }).click();
	await leader.ready();
	await expect(note(leader, said)).toHaveClass(/\bon\b/);
	await expect(note(leader, said)).toBeInViewport();
});

test('R3 ten comments in ten minutes are one mail, and none to who has read them', async ({ visit }) => {
	const [leader, head] = [await visit(), await visit()];
	await head.open(HEAD, UNIT);
	for (let number = 1; number <= 10; number += 1) await comment(head, unique('nummer'));
	tenMinutesPass();
	const { page } = leader;
	await expect((await mails(page, 2)).first().getByRole('link')).toHaveText(/10 nye kommentarer$/);

	// She has seen the next one before the ten minutes have passed; the one after it is told alone.
	await leader.open(LEADER.id, UNIT);
	const seen = unique('set');
	await comment(head, seen, LEADER.name);
	await note(leader, seen).click();
	await expect.poll(() => sql(`SELECT count(*) FROM notification n JOIN person p ON p.id = n.person_id JOIN comment c ON c.id = n.comment_id
		JOIN thread_read r ON r.person_id = n.person_id AND r.thread_id = n.thread_id AND r.up_to >= c.number
		WHERE p.slug = '${LEADER.id}' AND n.settled_at IS NULL`).trim()).toBe('1');
	tenMinutesPass();
	await expect.poll(() => sql('SELECT count(*) FROM notification WHERE settled_at IS NULL').trim()).toBe('0');
	await mails(page, 2);
});

test('R3 a kind is turned off, a mail is ended with one click, and what concerns signing cannot be turned off', async ({ visit }) => {
	const [leader, head] = [await visit(), await visit()];
	await head.open(HEAD, UNIT);
	await leader.signIn(LEADER.id);
	const dialog = await choices(leader);
	await dialog.getByRole('combobox', { name: 'Nye kommentarer i mine aftaler' }).selectOption('Slet ikke');
	await expect(leader.page.locator('[data-announcements]')).toHaveText('Valget er gemt.');
	await expect(dialog).toContainText('Beskeder om underskrift kan ikke slås fra.');
	await expect(dialog.getByRole('combobox', { name: /nderskr/ })).toHaveCount(0);
	const forced = await leader.page.evaluate(async () => {
		const body = JSON.stringify({ items: [{ kind: 'signing', way: 'off' }] });
		return (await fetch('/api/notification-settings', { method: 'PUT', headers: { 'content-type': 'application/json' }, body })).status;
	});
	expect(forced).toBe(422);

	await comment(head, unique('stille'));
	await comment(head, unique('dig'), LEADER.name);
	tenMinutesPass();
	const { page } = leader;
	const mail = (await mails(page, 3)).first().getByRole('link');
	await expect(mail).toHaveText(/Gunnar Tænkelund nævner dig$/);

	// A program that looks at the address ends nothing; one that posts does, signed in or not (RFC 8058).
	await mail.click();
	const address = (await page.getByRole('link', { name: /\/mail\/unsubscribe\// }).getAttribute('href'))!;
	await page.goto(address);
	await expect(page.getByRole('heading')).toHaveText('Vil du stoppe mail om dette?');
	const way = () => sql(`SELECT way FROM notification_setting s JOIN person p ON p.id = s.person_id WHERE p.slug = '${LEADER.id}' AND kind = 'mention'`).trim();
	expect(way()).toBe('');
	const answer = await fetch(address, {
		method: 'POST',
		headers: { 'content-type': 'application/x-www-form-urlencoded' },
		body: 'List-Unsubscribe=One-Click'
	});
	expect(answer.status).toBe(200);
	expect(await answer.text()).toContain('Du får ikke længere mail om dette');
	expect(way()).toBe('in_app');
	// And by hand: the page that asks does the same.
	await page.getByRole('button', { name: 'Stop mail om dette' }).click();
	await expect(page.getByRole('heading')).toHaveText('Du får ikke længere mail om dette');
	await leader.signIn(LEADER.id);
	await expect((await choices(leader)).getByRole('combobox', { name: 'Nogen nævner mig' })).toHaveValue('in_app');
});
