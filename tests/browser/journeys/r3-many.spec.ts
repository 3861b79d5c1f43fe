/**
 * R3 with 500 threads: how much the page works until they can be used, and while somebody types among them. Figures are printed and
 * decide nothing; what is judged is that all of them are there, level with their words, and that what was typed is saved.
 */
import { writeFileSync } from 'node:fs';
import { expect, test, type Visitor } from '../visit.ts';

const UNIT = 'Klitskolen';
const SECTION = 'Rammer';
const THREADS = 500;
const WORDS_IN_A_LINE = 10;

/** Answers what the page has worked since it was opened, in milliseconds. */
async function meter({ page }: Visitor): Promise<() => Promise<Record<'script' | 'layout' | 'style', number>>> {
	const client = await page.context().newCDPSession(page);
	await client.send('Performance.enable');
	return async () => {
		const { metrics } = await client.send('Performance.getMetrics');
		const ms = (name: string) => Math.round(1_000 * (metrics.find((metric) => metric.name === name)?.value ?? NaN));
		return { script: ms('ScriptDuration'), layout: ms('LayoutDuration'), style: ms('RecalcStyleDuration') };
	};
}

// What is recorded for a trace is work of the page, too.
test.use({ trace: 'off' });

interface Traced {
	readonly name: string;
	readonly ph: string;
	readonly pid: number;
	readonly tid: number;
	readonly dur: number;
	readonly tdur?: number;
}

/**
 * What the page's main thread did meanwhile, task by task, in milliseconds of its own processor time: what another program took is not in
 * it. With PROFILE=FILE, functions by their own time are written there, to be opened in Chromium's tools.
 */
async function tasksOf({ page }: Visitor, meanwhile: () => Promise<void>): Promise<number[]> {
	const browser = page.context().browser()!;
	const profiler = process.env.PROFILE ? await page.context().newCDPSession(page) : null;
	await profiler?.send('Profiler.enable');
	await profiler?.send('Profiler.start');
	await browser.startTracing(page, { categories: ['toplevel'] });
	await meanwhile();
	const { traceEvents } = JSON.parse((await browser.stopTracing()).toString()) as { traceEvents: Traced[] };
	if (profiler) writeFileSync(process.env.PROFILE!, JSON.stringify((await profiler.send('Profiler.stop')).profile));
	const threads = new Map<string, number[]>();
	for (const { name, ph, pid, tid, dur, tdur } of traceEvents) {
		if (ph !== 'X' || name !== 'ThreadControllerImpl::RunTask') continue;
		const tasks = threads.get(`${pid}:${tid}`) ?? [];
		threads.set(`${pid}:${tid}`, tasks);
		tasks.push((tdur ?? dur) / 1_000);
	}
	const mains = traceEvents.filter(({ name, args }: Traced & { args?: { name?: string } }) => name === 'thread_name' && args?.name === 'CrRendererMain');
	const busiest = mains.map(({ pid, tid }) => threads.get(`${pid}:${tid}`) ?? []).sort((one, other) => total(other) - total(one))[0]!;
	return busiest.sort((one, other) => other - one);
}

const total = (numbers: readonly number[]) => numbers.reduce((sum, number) => sum + number, 0);

const notes = ({ page }: Visitor) => page.locator('[data-at]:not(.unplaced) [data-note]');

test('R3 a page with 500 threads opens, and one types in it', async ({ visit }) => {
	test.setTimeout(180_000);
	const [writer, before] = [await visit(), await visit()];
	await writer.open('p-l-klitskolen', UNIT);
	await before.signIn('p-chef-skole');
	const first = await meter(before);
	await before.page.goto(await before.pathOf(UNIT));
	await before.ready();
	await expect(notes(before).first()).toBeVisible();
	console.log(`opened with ${await notes(before).count()} threads: ${JSON.stringify(await first())} ms`);
	await before.page.goto('about:blank');

	const word = (number: number) => `ord${String(number).padStart(3, '0')}`;
	await writer.toEndOf(SECTION);
	for (let from = 0; from < THREADS; from += WORDS_IN_A_LINE) {
		await writer.page.keyboard.press('Enter');
		await writer.page.keyboard.insertText(Array.from({ length: WORDS_IN_A_LINE }, (_, at) => `${word(from + at)} er sagt`).join(', '));
	}
	await writer.acknowledged();
	const document = await writer.page.evaluate(async (path) => (await (await fetch(path)).json()).summary.document_id as string, `/api${new URL(writer.page.url()).pathname}`);
	await writer.page.goto('/');
	const made = await writer.page.evaluate(
		async ({ document, words }) => {
			let made = 0;
			for (const quote of words) {
				// A position that is not here: the words are found by themselves, because they stand once.
				const about = { kind: 'words', field: 'section:rammer', start: 'AGMFAA==', end: 'AGMJQQ==', quote };
				const body = JSON.stringify({ id: crypto.randomUUID(), about, body: `Hvad med ${quote}?` });
				const answer = await fetch(`/api/documents/${document}/threads`, { method: 'POST', headers: { 'content-type': 'application/json' }, body });
				if (answer.status !== 201) throw new Error(await answer.text());
				made += 1;
			}
			return made;
		},
		{ document, words: Array.from({ length: THREADS }, (_, number) => word(number)) }
	);
	expect(made).toBe(THREADS);

	const reader = await visit();
	await reader.page.addInitScript(() => {
		const long: number[] = [];
		Object.assign(window, { long });
		new PerformanceObserver((list) => list.getEntries().forEach(({ duration }) => long.push(Math.round(duration)))).observe({ type: 'longtask', buffered: true });
	});
	const long = () => reader.page.evaluate(() => (window as unknown as { long: number[] }).long.splice(0));
	await reader.signIn('p-chef-skole');
	const worked = await meter(reader);
	await reader.page.goto(await reader.pathOf(UNIT));
	await expect.poll(() => notes(reader).count(), { timeout: 60_000 }).toBeGreaterThanOrEqual(THREADS);
	console.log(`opened with ${await notes(reader).count()} threads: ${JSON.stringify(await worked())} ms; tasks over 50 ms: ${JSON.stringify(await long())}`);
	await reader.page.locator('mark.comment-mark', { hasText: word(250) }).first().click();
	await expect(reader.page.locator('.note.on')).toContainText(word(250));
	await expect
		.poll(async () => {
			const [mark, note] = [reader.page.locator('mark.comment-mark.on'), reader.page.locator('.note.on')];
			return Math.abs((await mark.boundingBox())!.y - (await note.boundingBox())!.y);
		})
		.toBeLessThan(60);

	const typing = async (how: string, meanwhile: () => Promise<void> = async () => {}) => {
		const typed = `Vi skriver videre ${how}, mens fem hundrede tråde står ved siden af. `;
		const from = await worked();
		const frames = await framesOf(reader);
		const tasks = await tasksOf(reader, async () => {
			await Promise.all([reader.page.keyboard.type(typed, { delay: 30 }), meanwhile()]);
		});
		const shown = (await frames()).sort((one, other) => one - other);
		await reader.acknowledged();
		const to = await worked();
		const each = (kind: 'script' | 'layout' | 'style') => ((to[kind] - from[kind]) / typed.length).toFixed(1);
		const at = (share: number) => Math.round(shown[Math.floor((shown.length - 1) * share)]!);
		console.log(
			`typing among ${THREADS} threads ${how}: script ${each('script')}, layout ${each('layout')}, style ${each('style')} ms a key; ` +
				`tasks by processor time: longest ${tasks[0]!.toFixed(1)} ms, ${tasks.filter((task) => task > 50).length} of ${tasks.length} over 50 ms; ` +
				`frames p50 ${at(0.5)}, p95 ${at(0.95)}, longest ${at(1)} ms, ${shown.filter((frame) => frame > 50).length} of ${shown.length} over 50 ms`
		);
		await expect(reader.text(SECTION)).toContainText(typed.trim());
	};
	await reader.toEndOf(SECTION);
	await typing('sidst');
	// Before most of the words, in a paragraph of its own: each new line moves hundreds of notes.
	await reader.page.locator('mark.comment-mark', { hasText: word(100) }).first().click();
	await reader.page.keyboard.press('Home');
	await reader.page.keyboard.press('Enter');
	await reader.page.keyboard.press('ArrowUp');
	await typing('midt i det hele');
	await writer.page.goto(await writer.pathOf(UNIT));
	await writer.ready();
	await writer.toEndOf(SECTION);
	await typing('mens en anden skriver og kommenterer', async () => {
		await writer.page.keyboard.type('Det gør jeg også, nederst. ', { delay: 60 });
		await writer.page.evaluate(
			(document) =>
				fetch(`/api/documents/${document}/threads`, {
					method: 'POST',
					headers: { 'content-type': 'application/json' },
					body: JSON.stringify({ id: crypto.randomUUID(), about: { kind: 'document' }, body: 'Også noget om det hele.' })
				}),
			document
		);
	});
	await expect(reader.text(SECTION)).toContainText('Det gør jeg også, nederst.');
});

/** How long each frame took since this was called, in milliseconds. */
async function framesOf({ page }: Visitor): Promise<() => Promise<number[]>> {
	await page.evaluate(() => {
		const frames: number[] = [];
		Object.assign(window, { frames });
		let last = performance.now();
		const frame = (now: number) => {
			frames.push(now - last);
			last = now;
			if ((window as unknown as { frames: number[] }).frames === frames) requestAnimationFrame(frame);
		};
		requestAnimationFrame(frame);
	});
	return () => page.evaluate(() => (window as unknown as { frames: number[] }).frames);
}
