/** People at their browsers: each in a context of their own, on a line of their own, signed in through the demo's identity provider. */
import { expect, test as base, type Browser, type BrowserContext, type BrowserContextOptions, type Locator, type Page } from '@playwright/test';
import { Line } from './line.ts';
import { server } from './server.ts';

/** Ids from demo-data/people.json. The parties of each agreement are named in demo-data/agreements. */
export type Person = `p-${string}`;

export interface Screen {
	readonly width?: number;
	readonly height?: number;
	readonly dark?: boolean;
	readonly touch?: boolean;
}

export class Visitor {
	/** How many update frames each live socket has sent, and how many of them the server says are settled (H3). */
	private readonly frames: { sent: number; settled: number; open: boolean }[] = [];

	private constructor(
		readonly context: BrowserContext,
		readonly page: Page,
		readonly line: Line
	) {
		page.on('websocket', (socket) => {
			const frames = { sent: 0, settled: 0, open: true };
			this.frames.push(frames);
			socket.on('framesent', ({ payload }) => {
				if (typeof payload !== 'string' && payload[0] === 0 && (payload[1] === 1 || payload[1] === 2)) frames.sent += 1;
			});
			socket.on('framereceived', ({ payload }) => {
				if (typeof payload !== 'string' && payload[0] === 101) frames.settled = varuint(payload, 1);
			});
			socket.on('close', () => (frames.open = false));
		});
	}

	static async at(browser: Browser, screen: Screen = {}): Promise<Visitor> {
		const line = await Line.open();
		const options: BrowserContextOptions = {
			baseURL: server().url,
			proxy: { server: line.url },
			viewport: { width: screen.width ?? 1440, height: screen.height ?? 900 },
			colorScheme: screen.dark ? 'dark' : 'light',
			hasTouch: screen.touch ?? false
		};
		const context = await browser.newContext(options);
		return new Visitor(context, await context.newPage(), line);
	}

	/** Signs in and arrives at a page. */
	async signIn(person: Person, path = '/'): Promise<void> {
		await this.page.goto(`/auth/login?login_hint=${person}&return_to=${encodeURIComponent(path)}`);
		await expect(this.page.getByRole('main')).toBeVisible();
	}

	/** Signs in and opens a unit's agreement for 2027 (or another year), ready to read and, for its parties, to write. */
	async open(person: Person, unit: string, year = 2027): Promise<void> {
		await this.signIn(person);
		await this.page.goto(await this.pathOf(unit, year));
		await this.ready();
	}

	/** Where a unit's agreement is, by what this person may see. */
	async pathOf(unit: string, year = 2027): Promise<string> {
		const answer = await this.page.request.get('/api/agreements');
		expect(answer.ok(), await answer.text()).toBe(true);
		const { items } = (await answer.json()) as { items: { id: string; period_from: string; unit: { name: string } }[] };
		const found = items.find((item) => item.unit.name === unit && item.period_from.startsWith(String(year)));
		if (!found) throw new Error(`no agreement of ${unit} for ${year} among ${items.map((item) => item.unit.name).join(', ')}`);
		return `/agreements/${found.id}`;
	}

	/** The text is here. */
	async ready(): Promise<void> {
		await expect(this.save).toHaveAttribute('data-save', 'saved', { timeout: 20_000 });
	}

	get save(): Locator {
		return this.page.locator('[data-save]');
	}

	/** The text that one may write in, by its name. */
	text(name: string): Locator {
		return this.page.getByRole('textbox', { name, exact: true });
	}

	/** Puts the caret after the last word of a text. */
	async toEndOf(name: string): Promise<Locator> {
		const text = this.text(name);
		await text.click();
		await this.page.keyboard.press('Control+End');
		return text;
	}

	/** Writes after the last word of a text. */
	async writeIn(name: string, words: string): Promise<void> {
		await (await this.toEndOf(name)).pressSequentially(words);
	}

	/** The server has said that everything sent is on disk. Only then is *Gemt* more than a page's word. */
	async acknowledged(): Promise<void> {
		await expect
			.poll(() => {
				const last = this.frames.at(-1);
				return last !== undefined && last.open && last.sent > 0 && last.sent === last.settled;
			}, { message: 'every update frame is settled', intervals: [20] })
			.toBe(true);
		await expect(this.save).toHaveText('Gemt');
	}

	/** What others do is told in the live region; this counts every time it changes, from now on. */
	async listen(): Promise<() => Promise<string[]>> {
		await this.page.evaluate(() => {
			const heard: string[] = [];
			(window as unknown as { heard: string[] }).heard = heard;
			const region = document.querySelector('[data-announcements]');
			if (!region) throw new Error('there is no live region');
			new MutationObserver(() => {
				const words = region.textContent?.trim();
				if (words) heard.push(words);
			}).observe(region, { childList: true, characterData: true, subtree: true });
		});
		return () => this.page.evaluate(() => (window as unknown as { heard: string[] }).heard);
	}

	/** The page is the service worker's too: from then on it opens without a network. */
	async kept(): Promise<void> {
		await this.page.waitForFunction(() => navigator.serviceWorker.controller !== null);
	}

	async close(): Promise<void> {
		await this.context.close();
		await this.line.close();
	}
}

function varuint(bytes: Buffer, at: number): number {
	let number = 0;
	for (let shift = 1; ; shift *= 128) {
		const byte = bytes[at++];
		if (byte === undefined) return number;
		number += (byte & 0x7f) * shift;
		if (byte < 0x80) return number;
	}
}

/** `visit()` brings somebody; they leave when the test ends. */
export const test = base.extend<{ visit: (screen?: Screen) => Promise<Visitor> }>({
	visit: async ({ browser }, use) => {
		const visitors: Visitor[] = [];
		await use(async (screen) => {
			const visitor = await Visitor.at(browser, screen);
			visitors.push(visitor);
			return visitor;
		});
		for (const visitor of visitors) await visitor.close();
	}
});

export { expect } from '@playwright/test';

/** Words that no other journey writes. */
let count = 0;
export function unique(word: string): string {
	count += 1;
	return `${word}${Date.now().toString(36)}${count}`;
}
