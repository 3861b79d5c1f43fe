/** R2 up to the signatures and back from them: the text is frozen, taken back with a reason, and continued in a new version. */
import type { Locator } from '@playwright/test';
import { findingsEverywhere } from '../axe.ts';
import { expect, test, unique, type Visitor } from '../visit.ts';
import { banner, dialog, freeze, HEAD, inBar, LEADER, settleComments, takeBack, UNIT } from './freezing.ts';

const TASK = 'Kerneopgave';

async function parties(visit: () => Promise<Visitor>): Promise<[Visitor, Visitor]> {
	const [leader, head] = [await visit(), await visit()];
	await Promise.all([leader.open(LEADER, UNIT), head.open(HEAD, UNIT)]);
	return [leader, head];
}

const mark = ({ page }: Visitor, words: string) => page.locator('mark.comment-mark', { hasText: words }).first();
const loose = ({ page }: Visitor) => page.getByRole('region', { name: 'Løsrevne' });
const words = (visitor: Visitor): Locator => visitor.page.locator('.write').first();

test('R2 what is missing is said with a link, the text is frozen with the keyboard, and nobody writes in it any more', async ({ visit }) => {
	const [leader, head] = await parties(visit);
	const open = leader.page.locator('#underskrift li', { hasText: 'kommentar' });
	await expect(open).toContainText('mangler');
	await expect(inBar(leader, 'Gør klar til underskrift')).toHaveCount(0);
	await settleComments(leader);
	const ready = inBar(leader, 'Gør klar til underskrift');
	await expect(ready).toBeVisible();

	await ready.focus();
	await leader.page.keyboard.press('Enter');
	await expect(dialog(leader)).toContainText('Gunnar Tænkelund');
	await leader.page.keyboard.press('Escape');
	await expect(ready).toBeFocused();
	await leader.page.keyboard.press('Enter');
	await dialog(leader).getByRole('button', { name: 'Gør klar til underskrift' }).focus();
	await leader.page.keyboard.press('Enter');
	for (const one of [leader, head]) {
		await expect(banner(one, 'Teksten er frosset til underskrift')).toBeVisible({ timeout: 3_000 });
		await expect(one.page.getByRole('textbox')).toHaveCount(0);
		await expect(one.page.locator('.docbar')).toContainText('Klar til underskrift');
	}
	// What happened stands in the history, and the other party is told.
	await leader.page.getByRole('button', { name: 'Historik' }).click();
	await expect(dialog(leader).getByRole('listitem').first()).toContainText('Teksten blev frosset til underskrift');
	await leader.page.keyboard.press('Escape');
	await head.page.getByRole('button', { name: /^Nyt/ }).click();
	await expect(dialog(head)).toContainText('Aftalen er klar til din underskrift');
	await head.page.keyboard.press('Escape');
	await takeBack(head, 'Vi mangler at tale om natholdet.');
});

test('R2 taking it back needs ten characters, which the other party reads in Samspil and in a mail', async ({ visit }) => {
	const [leader, head] = await parties(visit);
	await freeze(leader);
	const reason = unique('Der er to biler for lidt i rammen');
	await banner(head, 'Teksten er frosset').getByRole('button', { name: 'Tag tilbage til kladde' }).click();
	const field = dialog(head).getByRole('textbox', { name: 'Begrundelse' });
	await field.fill('Nej');
	await dialog(head).getByRole('button', { name: 'Tag tilbage til kladde' }).click();
	await expect(dialog(head)).toContainText('Skriv mindst 10 tegn. Du har skrevet 3.');
	await expect(field).toBeFocused();
	await expect(field).toHaveAttribute('aria-invalid', 'true');
	await field.fill(reason);
	await head.page.keyboard.press('Tab');
	await head.page.keyboard.press('Enter');
	for (const one of [leader, head]) {
		await expect(banner(one, reason)).toBeVisible({ timeout: 3_000 });
		await expect(one.text(TASK)).toBeVisible();
	}
	await leader.page.getByRole('button', { name: /^Nyt/ }).click();
	await expect(dialog(leader)).toContainText('har taget aftalen tilbage til kladde');
	await expect(dialog(leader)).toContainText(reason);
	// A mail of its own, at once, with the reason.
	await expect
		.poll(async () => {
			const list = await (await leader.page.request.get('/demo/mail')).text();
			const links = [...list.matchAll(/href="(\/demo\/mail\/[^"]+)"/g)].map(([, link]) => link!);
			const mails = await Promise.all(links.map(async (link) => (await leader.page.request.get(link)).text()));
			return mails.some((mail) => mail.includes(reason));
		})
		.toBe(true);
});

test('R2 words typed without a network before the freeze are kept as proposed wording, and never merge, not even after reopening', async ({ visit }) => {
	const [leader, head] = await parties(visit);
	await leader.kept();
	const before = unique('uden-net');
	await leader.context.setOffline(true);
	await leader.writeIn(TASK, ` ${before}`);
	await expect(leader.save).toHaveClass(/unsaved/);
	await freeze(head);
	await takeBack(head, 'Vi mangler at tale om natholdet.');
	await expect(head.text(TASK)).toBeVisible();
	await leader.context.setOffline(false);
	const kept = leader.page.locator('[data-kept-words]');
	await expect(kept).toContainText(before);
	await expect(leader.text(TASK)).not.toContainText(before);
	await kept.getByRole('button', { name: 'Gem som ændringsforslag' }).click();
	await expect(kept).toHaveCount(0);
	const proposals = await leader.page.evaluate(async () => {
		const view = await (await fetch(`/api/agreements/${location.pathname.split('/').pop()}`)).json();
		return (await fetch(`/api/documents/${view.summary.document_id}/proposals`)).text();
	});
	expect(proposals).toContain(before);
	// And writing goes on.
	const after = unique('efter');
	await leader.writeIn(TASK, ` ${after}`);
	await leader.acknowledged();
	await expect(words(head)).toContainText(after);
	await expect(words(head)).not.toContainText(before);
});

test('R3 R7 bringing an older text back keeps threads and unsent words, is on record once, and is undone like any edit', async ({ visit }) => {
	const [leader, head] = await parties(visit);
	const [stays, later, last] = [unique('bliver'), unique('senere'), unique('sidst')];
	await leader.writeIn(TASK, ` Her ${stays} altid.`);
	await leader.acknowledged();
	await freeze(leader);
	await takeBack(head, 'Vi mangler at tale om natholdet.');
	await leader.writeIn(TASK, ` Det ${later} gik.`);
	await leader.acknowledged();
	for (const quote of [stays, later]) {
		const status = await leader.page.evaluate(async (quote) => {
			const view = await (await fetch(`/api/agreements/${location.pathname.split('/').pop()}`)).json();
			// A position that is not here: the words are found by themselves, because they stand once.
			const about = { kind: 'words', field: 'section:kerneopgave', start: 'AGMFAA==', end: 'AGMJQQ==', quote };
			const body = JSON.stringify({ id: crypto.randomUUID(), about, body: `Hvad med ${quote}?` });
			const path = `/api/documents/${view.summary.document_id}/threads`;
			return (await fetch(path, { method: 'POST', headers: { 'content-type': 'application/json' }, body })).status;
		}, quote);
		expect(status).toBe(201);
		await expect(mark(head, quote)).toBeVisible();
	}

	// While the leader's last words are on their way, the head brings back what was frozen.
	await leader.context.setOffline(true);
	await leader.writeIn(TASK, ` ${last}`);
	await expect(leader.save).toHaveClass(/unsaved/);
	await head.page.getByRole('button', { name: 'Historik' }).click();
	const older = dialog(head).getByRole('button', { name: /^Hent denne udgave tilbage/ });
	await older.first().focus();
	await head.page.keyboard.press('Enter');
	await expect(dialog(head)).toHaveCount(0);
	await expect(head.page.getByRole('status').filter({ hasText: 'er hentet tilbage' })).toBeVisible();
	await expect(head.text(TASK)).not.toContainText(later);
	await head.acknowledged();
	await leader.context.setOffline(false);
	await leader.acknowledged();
	for (const one of [leader, head]) {
		await expect(one.text(TASK)).toContainText(last);
		await expect(one.text(TASK)).not.toContainText(later);
		await expect(mark(one, stays)).toBeVisible();
		await expect(loose(one)).toContainText(later);
		await expect(loose(one)).not.toContainText(stays);
	}
	expect(await leader.text(TASK).textContent()).toBe(await head.text(TASK).textContent());

	await leader.page.getByRole('button', { name: 'Historik' }).click();
	const said = dialog(leader).getByRole('listitem').filter({ hasText: 'blev hentet tilbage' });
	await expect(said).toHaveCount(1);
	await expect(said).toContainText('Gunnar Tænkelund');
	await leader.page.keyboard.press('Escape');

	// Undone like any edit, its words come back, and their thread with them; what the other wrote meanwhile stays.
	await head.text(TASK).focus();
	await head.page.keyboard.press('Control+z');
	for (const one of [leader, head]) {
		await expect(one.text(TASK)).toContainText(later);
		await expect(one.text(TASK)).toContainText(last);
		await expect(mark(one, later)).toBeVisible();
		await expect(loose(one)).toHaveCount(0);
	}
});

test('R2 a new version begins with the signed text, shows what is changed, and the signed one stays in force', async ({ visit }) => {
	const leader = await visit();
	await leader.open('p-l-vejpark', 'Vej og Park');
	await banner(leader, 'Aftalen er underskrevet').getByRole('button', { name: 'Ny version' }).click();
	await dialog(leader).getByRole('button', { name: 'Begynd version 2' }).click();
	await expect(banner(leader, 'Version 1 gælder')).toBeVisible();
	await leader.ready();
	const fresh = unique('nyt');
	await leader.writeIn(TASK, ` ${fresh}`);
	await leader.acknowledged();
	await banner(leader, 'Version 1 gælder').getByRole('button', { name: 'Se ændringerne' }).click();
	await expect(dialog(leader).locator('ins')).toContainText(fresh);
	expect(await findingsEverywhere(leader)).toEqual([]);
	await leader.page.keyboard.press('Escape');
	await banner(leader, 'Version 1 gælder').getByRole('link', { name: 'Gå til version 1' }).click();
	await expect(banner(leader, 'Det er version 1, som gælder nu.')).toBeVisible();
	await expect(leader.page.getByRole('textbox')).toHaveCount(0);
	await expect(words(leader)).not.toContainText(fresh);
	await leader.page.getByRole('button', { name: 'Historik' }).click();
	await expect(dialog(leader)).toContainText('gældende');
	await dialog(leader).getByRole('link', { name: /Version 2/ }).click();
	await expect(leader.text(TASK)).toContainText(fresh);
});
