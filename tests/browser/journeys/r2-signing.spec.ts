/** R2: signing with a fresh login, on an exact state. Freezing and taking back have journeys of their own. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Locator, Page } from '@playwright/test';
import { findingsEverywhere } from '../axe.ts';
import { server, sql } from '../server.ts';
import { expect, test, unique, type Visitor } from '../visit.ts';
import * as draft from './freezing.ts';

/** Frozen in the demo data, and signed by nobody yet. */
const UNIT = 'Borgerservice';
const LEADER = { id: 'p-l-borgerservice', name: 'Åse Prototypsen' } as const;
const DIRECTOR = { id: 'p-kd', name: 'Asger Fiktivsen' } as const;
/** Signed by its leader before it came here. */
const HALF = 'Børnehuset Strandsneglen';

/** Leads the unit whose agreement is frozen and taken back. */
const OWN_NAME = 'Nadia Øvebakke';

/** A sign-in from before the button counts this long, for clocks that differ. */
const SKEW_MS = 5_000;

const button = (page: Page) => page.getByRole('button', { name: 'Underskriv', exact: true });

async function toSign(visitor: Visitor, person: `p-${string}`, unit: string): Promise<void> {
	await visitor.signIn(person);
	await visitor.page.goto(`${await visitor.pathOf(unit)}/sign`);
	await expect(visitor.page.getByRole('heading', { level: 1, name: /^Aftale 2027/ })).toBeVisible();
}

async function press({ page }: Visitor): Promise<void> {
	await page.getByLabel('Jeg har læst hele teksten').check();
	await button(page).click();
}

/** Where a key press would count, as somebody gets there who has a keyboard alone. */
async function tabTo(page: Page, target: Locator): Promise<void> {
	for (let presses = 0; presses < 60; presses++) {
		if (await target.evaluate((element) => element === document.activeElement)) return;
		await page.keyboard.press('Tab');
	}
	throw new Error(`60 presses of Tab do not lead to ${target}`);
}

async function signWithTheKeyboard({ page }: Visitor, name: string): Promise<void> {
	await tabTo(page, page.getByLabel('Jeg har læst hele teksten'));
	await page.keyboard.press('Space');
	await tabTo(page, button(page));
	await page.keyboard.press('Enter');
	await page.waitForURL(`${server().identityProvider}/**`);
	await tabTo(page, page.getByRole('button', { name: new RegExp(name) }).first());
	await page.keyboard.press('Enter');
	await page.waitForURL(/\/agreements\/[^/]+\/sign/);
}

/** At the identity provider, which asks although a session exists: signs in as this person. */
async function logIn({ page }: Visitor, name: string): Promise<void> {
	await page.waitForURL(`${server().identityProvider}/**`);
	await page.getByRole('button', { name: new RegExp(name) }).first().click();
	await page.waitForURL(/\/agreements\/[^/]+\/sign/);
}

/** What the browser asks the provider for is another thing than the server said. */
async function tampers({ page }: Visitor, change: (asked: URLSearchParams) => void): Promise<void> {
	await page.route(
		(url) => url.origin === server().identityProvider && url.pathname === '/authorize',
		async (route) => {
			const url = new URL(route.request().url());
			change(url.searchParams);
			await route.continue({ url: url.href });
		},
		{ times: 1 }
	);
}

async function refusedWith({ page }: Visitor, words: string): Promise<void> {
	await page.waitForURL(/\/agreements\/[^/]+\/sign/);
	await expect(page.getByText(words, { exact: false }).first()).toBeVisible();
	await expect(button(page)).toBeVisible();
}

const refusals = () => sql("SELECT body->>'reason' FROM audit_event WHERE type = 'approval_refused' ORDER BY at, seq").trim().split('\n');

test('R2: each sign-in that does not prove it signs nothing, says why and is on record', async ({ visit }) => {
	const [leader, head] = [await visit(), await visit()];
	await head.open(draft.HEAD, draft.UNIT);
	await draft.freeze(head);
	await toSign(leader, draft.LEADER, draft.UNIT);
	const signedInAt = Date.now();
	const { page } = leader;

	// The box first: whoever presses without it is told, and sent nowhere.
	await button(page).click();
	await expect(page.getByText('Sæt kryds, når du har læst teksten.')).toBeVisible();
	await expect(page.getByLabel('Jeg har læst hele teksten')).toBeFocused();

	// Somebody else.
	await press(leader);
	await logIn(leader, 'Gunnar Tænkelund');
	await refusedWith(leader, 'En anden loggede ind.');
	// A lower level.
	await tampers(leader, (asked) => asked.delete('acr_values'));
	await press(leader);
	await logIn(leader, OWN_NAME);
	await refusedWith(leader, 'Dit login var ikke på det niveau, der kræves.');
	// For something else.
	await tampers(leader, (asked) => asked.set('nonce', 'noget-andet'));
	await press(leader);
	await logIn(leader, OWN_NAME);
	await refusedWith(leader, 'Det login gjaldt ikke denne tekst.');
	// Without logging in again: the provider answers from the session that it has.
	await expect.poll(() => Date.now() - signedInAt, { message: 'the sign-in is older than any clock explains' }).toBeGreaterThan(SKEW_MS + 2_000);
	await page.goto(`/auth/login?login_hint=${draft.LEADER}&return_to=${encodeURIComponent(new URL(page.url()).pathname)}`);
	const again = Date.now();
	await expect(button(page)).toBeVisible();
	await expect.poll(() => Date.now() - again).toBeGreaterThan(SKEW_MS + 2_000);
	await tampers(leader, (asked) => {
		asked.delete('prompt');
		asked.delete('max_age');
	});
	await press(leader);
	await refusedWith(leader, 'Du blev ikke bedt om at logge ind igen.');

	expect(refusals().slice(-4)).toEqual(['other_person', 'level', 'nonce', 'old_login']);
	await expect(page.getByText('Har ikke skrevet under endnu')).toHaveCount(2);
	await draft.takeBack(head, 'Vi mangler at tale om natholdet.');
});

/** Everything in the frozen bytes that says something, in the words of the page. */
function signedWords({ page }: Visitor, unit: string): Promise<string[]> {
	return page.evaluate(async (unit) => {
		const PICKED: Record<string, string> = {
			up: 'Op er godt',
			down: 'Ned er godt',
			keep: 'Skal holdes',
			monthly: 'Hver måned',
			quarterly: 'Hvert kvartal',
			half_yearly: 'To gange om året',
			yearly: 'Hvert år',
			contributes_to: 'bidrager til',
			implements: 'udmønter',
			constrained_by: 'begrænses af'
		};
		const list = await (await fetch('/api/agreements')).json();
		const { document_id } = list.items.find((item: { unit: { name: string } }) => item.unit.name === unit);
		const content = await (await fetch(`/api/documents/${document_id}/signing/content`)).json();
		const found: string[] = [];
		const say = (key: string, value: unknown): void => {
			if (Array.isArray(value)) value.forEach((item) => say(key, item));
			else if (value !== null && typeof value === 'object') Object.entries(value).forEach(([key, inner]) => say(key, inner));
			else if (key === 'text' || key === 'unit') found.push(String(value));
			else if (key === 'baseline' || key === 'target') found.push(String(value).replace('.', ','));
			else if (['direction', 'frequency', 'relation'].includes(key)) found.push(PICKED[String(value)] ?? String(value));
			else if (key === 'due' && value) {
				found.push(new Date(`${value}T12:00Z`).toLocaleDateString('da-DK', { day: 'numeric', month: 'long', year: 'numeric' }));
			}
		};
		say('sections', content.sections);
		// What a goal above is called is no part of what is signed; its id is.
		for (const goal of content.goals) say('goals', { ...goal, links: goal.links.map((link: object) => ({ ...link, target: '' })) });
		return found;
	}, unit);
}

test('R2: the page shows every word that is signed', async ({ visit }) => {
	const leader = await visit();
	await toSign(leader, LEADER.id, UNIT);
	const plain = (text: string) => text.replace(/\s+/g, ' ').trim();
	const words = (await signedWords(leader, UNIT)).map(plain);
	for (const expected of ['Hver måned', 'Op er godt', 'procent', 'bidrager til']) expect(words).toContain(expected);
	const shown = plain(await leader.page.locator('article.print').innerText());
	expect(words.filter((word) => !shown.includes(word))).toEqual([]);
});

test('R2: another text than the one that was said to be read has to be read anew', async ({ visit }) => {
	const [leader, head] = [await visit(), await visit()];
	await head.open(draft.HEAD, draft.UNIT);
	await draft.freeze(head);
	await toSign(leader, draft.LEADER, draft.UNIT);
	const read = leader.page.getByLabel('Jeg har læst hele teksten');
	await read.check();
	await draft.takeBack(head, 'Vi mangler at tale om natholdet.');
	const added = unique('natholdet');
	await head.writeIn('Kerneopgave', ` ${added}`);
	await head.acknowledged();
	await draft.freeze(head);
	await expect(leader.page.locator('article.print')).toContainText(added);
	await expect(read).not.toBeChecked();
	await button(leader.page).click();
	await expect(leader.page.getByText('Sæt kryds, når du har læst teksten.')).toBeVisible();
	await draft.takeBack(head, 'Vi mangler at tale om natholdet.');
});


test('R2: both sign on two machines, each sees the other’s signature, and the package proves it', async ({ visit }, info) => {
	const [leader, director] = [await visit(), await visit()];
	await Promise.all([toSign(leader, LEADER.id, UNIT), toSign(director, DIRECTOR.id, UNIT)]);
	const hash = await leader.page.evaluate(async (path) => {
		const view = await (await fetch(path)).json();
		const bytes = await (await fetch(`/api/documents/${view.summary.document_id}/signing/content`)).arrayBuffer();
		return [...new Uint8Array(await crypto.subtle.digest('SHA-256', bytes))].map((byte) => byte.toString(16).padStart(2, '0')).join('');
	}, `/api${await leader.pathOf(UNIT)}`);
	await expect(leader.page.locator('.signbox dd.mono')).toContainText(hash);
	await expect(leader.page.getByText('»Jeg indgår denne aftale på vegne af Borgerservice, som den står i udgave 12.«')).toBeVisible();

	await press(leader);
	await logIn(leader, LEADER.name);
	const received = Date.now();
	await expect(leader.page.getByText('Din underskrift er modtaget.')).toBeVisible();
	// The other's page says so by itself.
	await expect(director.page.locator('.signbox li.done', { hasText: LEADER.name })).toBeVisible();
	info.annotations.push({ type: 'seen by the other after', description: `${Date.now() - received} ms` });
	await expect(button(leader.page)).toHaveCount(0);

	await signWithTheKeyboard(director, DIRECTOR.name);
	for (const { page } of [leader, director]) {
		await expect(page.getByRole('heading', { name: 'Aftalen er underskrevet' })).toBeVisible();
		await expect(page.getByText('Låst i kontrolpunktet')).toBeVisible();
	}

	const download = leader.page.waitForEvent('download');
	const evidence = leader.page.getByRole('link', { name: 'Hent beviset for underskrifterne' });
	await tabTo(leader.page, evidence);
	await leader.page.keyboard.press('Enter');
	const whole = info.outputPath('bevispakke.zip');
	await (await download).saveAs(whole);
	const altered = info.outputPath('rettet.zip');
	const bytes = readFileSync(whole);
	const place = bytes.indexOf('"paragraph"');
	expect(place).toBeGreaterThan(0);
	bytes[place + 1]! ^= 1;
	writeFileSync(altered, bytes);
	const pdf = info.outputPath('aftale.pdf');
	writeFileSync(pdf, '%PDF-1.7 alene');

	// Anybody, without signing in.
	const anybody = await visit();
	const { page } = anybody;
	await page.goto('/verify');
	const file = page.locator('input[type=file]');
	await tabTo(page, file);
	await file.setInputFiles(whole);
	await expect(page.getByText('Alt holder.', { exact: true })).toBeVisible();
	await expect(page.locator('li.holds')).toHaveCount(12);
	await expect(page.getByText(LEADER.name, { exact: true })).toBeVisible();
	expect(await findingsEverywhere(anybody)).toEqual([]);
	await file.setInputFiles(altered);
	await expect(page.getByText('Det holder ikke.', { exact: true })).toBeVisible();
	await expect(page.locator('li.broken')).toHaveCount(1);
	expect(await findingsEverywhere(anybody)).toEqual([]);
	await file.setInputFiles(pdf);
	await expect(page.getByText('En PDF kan ikke kontrolleres alene.', { exact: true })).toBeVisible();
	await file.setInputFiles(join(import.meta.dirname, '../package.json'));
	await expect(page.getByText('Det er ikke en bevispakke.', { exact: true })).toBeVisible();
});

test('R2: a substitute signs on behalf of the party, within the period and not outside it', async ({ visit }) => {
	const place = (from: string, to: string) =>
		`INSERT INTO person_role (id, person_id, role, org_id, from_day, to_day)
		 SELECT gen_random_uuid(), p.id, 'substitute_counterpart', u.id, '${from}', '${to}' FROM person p, org_node u
		 WHERE p.slug = 'p-l-klitskolen' AND u.name = '${HALF}'`;
	sql(place('2026-11-01', '2026-11-10'));
	const substitute = await visit();
	await substitute.signIn('p-l-klitskolen');
	const agreement = sql(`SELECT a.id FROM agreement a JOIN org_node u ON u.id = a.unit_id WHERE u.name = '${HALF}' AND a.period_from = '2027-01-01'`).trim();
	await substitute.page.goto(`/agreements/${agreement}/sign`);
	await expect(substitute.page.getByRole('heading', { name: 'Siden findes ikke' }).or(substitute.page.getByText('ikke adgang')).first()).toBeVisible();

	sql(place('2026-11-20', '2026-12-20'));
	await substitute.page.goto(`/agreements/${agreement}/sign`);
	await expect(substitute.page.getByText(/»Jeg indgår som stedfortræder for Freja Skitsegaard denne aftale/)).toBeVisible();
	await press(substitute);
	await logIn(substitute, 'Ib Kladdestrup');
	await expect(substitute.page.locator('.signbox li.done', { hasText: 'Ib Kladdestrup' })).toContainText('på vegne af Freja Skitsegaard');
	await expect(substitute.page.locator('.print .line', { hasText: 'Ib Kladdestrup' }).last()).toContainText('på vegne af Freja Skitsegaard');
});
