/** Every page in every state that a person may meet it in: what the journeys of accessibility and language go through. */
import { expect, type Person, type Visitor } from '../visit.ts';
import { server } from '../server.ts';

export interface State {
	readonly name: string;
	readonly arrive: (visitor: Visitor) => Promise<void>;
	/** Before the next state can be reached. */
	readonly leave?: (visitor: Visitor) => Promise<void>;
}

/** The server's frames, by their number (SPEC H). */
const [HELLO, EVENT] = [100, 103];

/** What the page hears of its document's size is this, whatever it is; all else is the server's own. */
async function hearsOfSize({ page }: Visitor, size: 'as it is' | 'nearly full' | 'full'): Promise<void> {
	await page.routeWebSocket(/\/live\//, (socket) => {
		socket.connectToServer().onMessage((message) => {
			const isHello = typeof message !== 'string' && message[0] === HELLO;
			if (!isHello || size === 'as it is') return socket.send(message);
			const hello = JSON.parse(message.subarray(message.indexOf('{')).toString());
			if (size === 'full') hello.abilities = { ...hello.abilities, edit: false, read_only_because: 'full' };
			socket.send(frame(HELLO, hello));
			if (size === 'nearly full') socket.send(frame(EVENT, { kind: 'nearly_full' }));
		});
	});
}

/** A number, and JSON with its length in bytes, seven bits a byte. */
function frame(number: number, body: object): Buffer {
	const json = Buffer.from(JSON.stringify(body));
	const length: number[] = [];
	for (let rest = json.length; ; rest >>= 7) {
		length.push(rest > 0x7f ? (rest & 0x7f) | 0x80 : rest);
		if (rest <= 0x7f) break;
	}
	return Buffer.concat([Buffer.from([number, ...length]), json]);
}

const AGREEMENT = /\/api\/agreements\/[^/]+$/;

/** The page hears that this step may be taken, as it will when all is in place; all else is the server's own. */
async function mayTake({ page }: Visitor, step: 'freeze' | 'override_dialogue'): Promise<void> {
	await page.route(AGREEMENT, async (route) => {
		const response = await route.fetch();
		const view = await response.json();
		await route.fulfill({ response, json: { ...view, steps: { ...view.steps, [step]: true } } });
	});
}

/** The page where an agreement is read and signed, by this person. */
async function toSign(visitor: Visitor, person: Person, unit: string, query = ''): Promise<void> {
	await visitor.signIn(person);
	await visitor.page.goto(`${await visitor.pathOf(unit)}/sign${query}`);
	await expect(visitor.page.getByRole('main').getByRole('heading', { level: 1 })).toBeVisible();
}

const dialog = (visitor: Visitor) => visitor.page.getByRole('dialog');

async function closeDialog(visitor: Visitor): Promise<void> {
	await visitor.page.keyboard.press('Escape');
	await expect(dialog(visitor)).toHaveCount(0);
}

/** One after another, by the leader of Fjordskolen unless said otherwise. */
export const STATES: readonly State[] = [
	{
		name: 'signed out',
		arrive: async ({ page }) => {
			await page.goto('/');
			await expect(page.getByRole('heading', { name: /^Log ind|^Sign in/ })).toBeVisible();
		}
	},
	{
		name: 'a sign-in that failed',
		arrive: async ({ page }) => {
			await page.goto('/login-problem?code=no_role');
			await expect(page.getByRole('heading', { level: 1 })).toBeVisible();
		}
	},
	{
		name: 'the demo’s sign-in page',
		arrive: async ({ page }) => {
			await page.goto('/auth/login');
			await expect(page).toHaveURL(new RegExp(`^${server().identityProvider}`));
			await expect(page.getByRole('button')).not.toHaveCount(0);
		}
	},
	{
		name: 'Overblik',
		arrive: async (visitor) => {
			await visitor.signIn('p-l-fjordskolen');
			await expect(visitor.page.locator('[data-region="text"]')).toBeVisible();
		}
	},
	{
		name: 'the person’s menu',
		arrive: async ({ page }) => {
			await page.locator('header.top .push button.me').click();
			await expect(page.getByRole('menu')).toBeVisible();
		},
		leave: async ({ page }) => page.keyboard.press('Escape')
	},
	{
		name: 'what is new',
		arrive: async (visitor) => {
			await visitor.page.getByRole('button', { name: /^(Nyt|News)/ }).click();
			await expect(dialog(visitor)).toBeVisible();
		}
	},
	{
		name: 'what one wants to hear about',
		arrive: async (visitor) => {
			await dialog(visitor).getByRole('button', { name: /^(Vælg, hvad|Choose what)/ }).click();
			await expect(dialog(visitor).getByRole('combobox')).toHaveCount(5);
		},
		leave: closeDialog
	},
	{
		name: 'a page that does not exist',
		arrive: async ({ page }) => {
			await page.goto('/agreements/00000000-0000-4000-8000-000000000000');
			await expect(page.getByRole('main').getByRole('heading', { level: 1 })).toBeVisible();
		}
	},
	{ name: 'an agreement in dialogue, by its leader', arrive: (visitor) => visitor.open('p-l-fjordskolen', 'Fjordskolen') },
	{
		name: 'Gå til / gør',
		arrive: async (visitor) => {
			await visitor.page.keyboard.press('Control+.');
			await expect(dialog(visitor)).toBeVisible();
		},
		leave: closeDialog
	},
	{
		name: 'who is here',
		arrive: async (visitor) => {
			const danish = (await visitor.page.locator('html').getAttribute('lang')) === 'da';
			await visitor.page.keyboard.press('Control+.');
			await dialog(visitor).getByRole('combobox').fill(danish ? 'Hvem er her' : 'Who is here');
			await expect(dialog(visitor).getByRole('option')).toHaveCount(1);
			await visitor.page.keyboard.press('Enter');
			await expect(dialog(visitor).getByRole('combobox')).toHaveCount(0);
			await expect(dialog(visitor)).toBeVisible();
		},
		leave: closeDialog
	},
	{
		name: 'the contents, where there is no room for them beside the text',
		arrive: async (visitor) => {
			const { width, height } = visitor.page.viewportSize()!;
			await visitor.page.setViewportSize({ width: Math.min(width, 700), height });
			await visitor.page.locator('.docbar button.narrow').click();
			await expect(dialog(visitor).getByRole('link')).not.toHaveCount(0);
			await visitor.page.setViewportSize({ width, height });
		},
		leave: closeDialog
	},
	{
		name: 'help',
		arrive: async (visitor) => {
			await visitor.page.locator('footer button').click();
			await expect(dialog(visitor)).toBeVisible();
		},
		leave: closeDialog
	},
	{
		name: 'an earlier text to bring back',
		arrive: async (visitor) => {
			// No agreement of the demo's is a draft again after it was frozen.
			const revision = { number: 2, seq: 9, content_sha256: '0'.repeat(64), label: null, frozen: true, person: null, at: '2026-11-20T09:00:00Z' };
			await visitor.page.route('**/versions', (route) => route.fulfill({ json: [revision] }));
			await visitor.page.getByRole('button', { name: /^(Historik|History)/ }).click();
			await expect(dialog(visitor).getByRole('button', { name: /^(Hent denne|Bring this)/ })).toBeVisible();
		},
		leave: async (visitor) => {
			await visitor.page.unroute('**/versions');
			await closeDialog(visitor);
		}
	},
	{
		name: 'choosing what a goal is connected to',
		arrive: async (visitor) => {
			await visitor.page.locator('article.goal .more button[aria-haspopup="dialog"]').first().click();
			await expect(dialog(visitor).getByRole('searchbox')).toBeVisible();
		},
		leave: closeDialog
	},
	{
		name: 'a goal of the chain',
		arrive: async (visitor) => {
			await visitor.page.locator('article.goal ol.chain button').first().click();
			await expect(dialog(visitor)).toBeVisible();
		},
		leave: closeDialog
	},
	{
		name: 'setting a link',
		arrive: async (visitor) => {
			await visitor.text('Kerneopgave').click();
			await visitor.page.keyboard.press('Control+k');
			await expect(dialog(visitor).getByRole('textbox').first()).toBeFocused();
		},
		leave: closeDialog
	},
	{
		name: 'comments, one of them open',
		arrive: async (visitor) => {
			const list = visitor.page.locator('.docbar .notes');
			if (await list.isVisible()) await list.click();
			await visitor.page.locator('[data-note] .fold').first().click();
			await expect(visitor.page.locator('[data-note].on')).toBeVisible();
		}
	},
	{
		name: 'comments whose words are gone: none',
		arrive: async (visitor) => {
			await visitor.page.locator('select:has(option[value="detached"])').first().selectOption('detached');
			await expect(visitor.page.locator('[data-note]')).toHaveCount(0);
		},
		leave: async (visitor) => {
			await visitor.page.locator('select:has(option[value="open"])').first().selectOption('open');
			if (await dialog(visitor).count()) await closeDialog(visitor);
		}
	},
	{
		name: 'a comment in the making',
		arrive: async ({ page }) => {
			await page.locator('#kerneopgave .about').click();
			await expect(page.locator('.note.new textarea')).toBeFocused();
		},
		leave: async (visitor) => {
			await visitor.page.locator('.note.new').getByRole('button', { name: /^(Annuller|Cancel)/ }).click();
			if (await dialog(visitor).count()) await closeDialog(visitor);
		}
	},
	{
		name: 'offline with unsent words',
		arrive: async (visitor) => {
			await visitor.context.setOffline(true);
			await visitor.writeIn('Værdierne hos os', ' ord');
			await expect(visitor.save).toHaveClass(/unsaved/);
		},
		leave: async (visitor) => {
			await visitor.context.setOffline(false);
			await visitor.acknowledged();
		}
	},
	{
		name: 'nearly full',
		arrive: async (visitor) => {
			await hearsOfSize(visitor, 'nearly full');
			await visitor.open('p-l-fjordskolen', 'Fjordskolen');
			await expect(visitor.page.locator('.banner').getByRole('button')).toBeVisible();
			await expect(visitor.page.getByRole('textbox')).not.toHaveCount(0);
		}
	},
	{
		name: 'full',
		arrive: async (visitor) => {
			await hearsOfSize(visitor, 'full');
			await visitor.open('p-l-fjordskolen', 'Fjordskolen');
			await expect(visitor.page.locator('.banner.warn')).toBeVisible();
			await expect(visitor.page.getByRole('textbox')).toHaveCount(0);
		},
		leave: (visitor) => hearsOfSize(visitor, 'as it is')
	},
	{ name: 'an agreement that others write', arrive: (visitor) => visitor.open('p-kd', 'Fjordskolen') },
	{ name: 'frozen, one has signed', arrive: (visitor) => visitor.open('p-l-strandsneglen', 'Børnehuset Strandsneglen') },
	{
		name: 'taking a frozen text back, without a reason yet',
		arrive: async (visitor) => {
			await visitor.page.locator('.banner button[aria-haspopup="dialog"]').first().click();
			await dialog(visitor).locator('form button[type="submit"]').click();
			await expect(dialog(visitor).getByRole('textbox')).toHaveAttribute('aria-invalid', 'true');
		},
		leave: closeDialog
	},
	{
		name: 'what happened in the agreement’s life',
		arrive: async (visitor) => {
			await visitor.page.locator('#parter .more button').click();
			await expect(dialog(visitor).getByRole('listitem')).not.toHaveCount(0);
		},
		leave: closeDialog
	},
	{
		name: 'taken back, its signature lapsed',
		arrive: async (visitor) => {
			await visitor.open('p-l-hjemmenord', 'Hjemmeplejen Nord');
			await expect(visitor.page.locator('#underskrift li.warn')).not.toHaveCount(0);
		}
	},
	{
		name: 'nothing to sign yet',
		arrive: async (visitor) => {
			await toSign(visitor, 'p-l-hjemmenord', 'Hjemmeplejen Nord');
			await expect(visitor.page.locator('.signbox')).toHaveCount(0);
		}
	},
	{
		name: 'asked to freeze a text',
		arrive: async (visitor) => {
			await mayTake(visitor, 'freeze');
			await visitor.open('p-l-fjordskolen', 'Fjordskolen');
			await visitor.page.locator('#underskrift .act button').click();
			await expect(dialog(visitor).locator('form button[type="submit"]')).toBeVisible();
		},
		leave: async (visitor) => {
			await closeDialog(visitor);
			await visitor.page.unroute(AGREEMENT);
		}
	},
	{
		name: 'asked to freeze a text without a dialogue meeting, no reason given yet',
		arrive: async (visitor) => {
			await mayTake(visitor, 'override_dialogue');
			await visitor.open('p-chef-skole', 'Fjordskolen');
			await visitor.page.locator('#underskrift .act button').click();
			await dialog(visitor).locator('form button[type="submit"]').click();
			await expect(dialog(visitor).getByRole('textbox')).toHaveAttribute('aria-invalid', 'true');
		},
		leave: async (visitor) => {
			await closeDialog(visitor);
			await visitor.page.unroute(AGREEMENT);
		}
	},
	{ name: 'ready to sign', arrive: (visitor) => visitor.open('p-l-borgerservice', 'Borgerservice') },
	{
		name: 'a text to sign, not said to be read',
		arrive: async (visitor) => {
			await toSign(visitor, 'p-l-borgerservice', 'Borgerservice');
			await visitor.page.locator('.signbox button.main').click();
			await expect(visitor.page.locator('#read')).toHaveAttribute('aria-invalid', 'true');
		}
	},
	{
		name: 'a sign-in that signed nothing',
		arrive: async (visitor) => {
			await toSign(visitor, 'p-l-borgerservice', 'Borgerservice', '?refused=other_person');
			await expect(visitor.page.locator('.signbox .outcome')).toBeFocused();
		}
	},
	{ name: 'a text to sign, the other has signed', arrive: (visitor) => toSign(visitor, 'p-chef-dagtilbud', 'Børnehuset Strandsneglen') },
	{ name: 'a text to sign, I have signed', arrive: (visitor) => toSign(visitor, 'p-l-strandsneglen', 'Børnehuset Strandsneglen', '?signed') },
	{ name: 'the signatures of a signed agreement', arrive: (visitor) => toSign(visitor, 'p-l-bibliotek', 'Klitfjord Bibliotek') },
	{
		name: 'Kontrollér dokument',
		arrive: async ({ page }) => {
			await page.goto('/verify');
			await expect(page.getByRole('heading', { level: 1 })).toBeVisible();
		}
	},
	{
		name: 'a file that is no evidence',
		arrive: async ({ page }) => {
			await page.locator('input[type=file]').setInputFiles({ name: 'brev.txt', mimeType: 'text/plain', buffer: Buffer.from('Kære kommune') });
			await expect(page.locator('.result .banner')).toBeVisible();
		}
	},
	{
		name: 'a package of a demonstration',
		arrive: async (visitor) => {
			const { page } = visitor;
			const answer = await page.request.get(`/api${await visitor.pathOf('Klitfjord Bibliotek')}`);
			const { summary } = (await answer.json()) as { summary: { document_id: string } };
			const buffer = await (await page.request.get(`/api/documents/${summary.document_id}/package`)).body();
			await page.locator('input[type=file]').setInputFiles({ name: 'bevispakke.zip', mimeType: 'application/zip', buffer });
			await expect(page.locator('.result li.demonstration')).toHaveCount(3);
		}
	},
	{
		name: 'a package that does not hold',
		arrive: async ({ page }) => {
			const torn = Buffer.from('PK\x03\x04 og så ikke mere', 'latin1');
			await page.locator('input[type=file]').setInputFiles({ name: 'revet.zip', mimeType: 'application/zip', buffer: torn });
			await expect(page.locator('.result li.broken')).toHaveCount(1);
		}
	},
	{
		name: 'signed, and not in the records yet',
		arrive: async (visitor) => {
			await visitor.open('p-l-vejpark', 'Vej og Park');
			await expect(visitor.page.locator('#underskrift .status.warn')).not.toHaveCount(0);
		}
	},
	{ name: 'signed', arrive: (visitor) => visitor.open('p-l-bibliotek', 'Klitfjord Bibliotek') },
	{
		name: 'beginning a new version of what is signed',
		arrive: async (visitor) => {
			await visitor.page.locator('.banner button[aria-haspopup="dialog"]').first().click();
			await expect(dialog(visitor).locator('form button[type="submit"]')).toBeVisible();
		},
		leave: closeDialog
	},
	{ name: 'not begun', arrive: (visitor) => visitor.open('p-l-oesterklit-2', 'Børnehuset Østerklit') },
	{
		// The last one: the page's socket stays out of reach. A text that was never opened here, so that there is no copy of it.
		name: 'a text that cannot be loaded',
		arrive: async (visitor) => {
			await visitor.page.routeWebSocket(/\/live\//, (socket) => socket.close({ code: 4000 }));
			await visitor.signIn('p-l-klitskolen');
			await visitor.page.goto(await visitor.pathOf('Klitskolen'));
			await expect(visitor.page.locator('.banner.bad')).toBeVisible({ timeout: 30_000 });
			await expect(visitor.page.getByRole('textbox')).toHaveCount(0);
		}
	}
];
