/** The agreement that is frozen and taken back, as often as a journey needs it: each leaves it a draft. */
import { expect, type Visitor } from '../visit.ts';

export const UNIT = 'Hjemmeplejen Nord';
export const LEADER = 'p-l-hjemmenord';
export const HEAD = 'p-chef-aeldre';

export const banner = ({ page }: Visitor, words: string | RegExp) => page.locator('.banner', { hasText: words });
export const dialog = ({ page }: Visitor) => page.getByRole('dialog');
export const inBar = ({ page }: Visitor, name: string) => page.locator('.docbar').getByRole('button', { name });

/** What its page does, without its clicks: answers every open comment. */
export async function settleComments({ page }: Visitor): Promise<void> {
	await page.evaluate(async () => {
		const agreement = location.pathname.split('/').pop();
		const view = await (await fetch(`/api/agreements/${agreement}`)).json();
		const threads = await (await fetch(`/api/documents/${view.summary.document_id}/threads`)).json();
		for (const { id } of threads.filter(({ state }: { state: string }) => state === 'open')) {
			await fetch(`/api/threads/${id}/resolve`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{}' });
		}
	});
}

/** Makes ready what may still be missing, and freezes. */
export async function freeze(visitor: Visitor): Promise<void> {
	await settleComments(visitor);
	await inBar(visitor, 'Gør klar til underskrift').click();
	await dialog(visitor).getByRole('button', { name: 'Gør klar til underskrift' }).click();
	await expect(banner(visitor, 'Teksten er frosset til underskrift')).toBeVisible();
}

export async function takeBack(visitor: Visitor, reason: string): Promise<void> {
	await banner(visitor, 'Teksten er frosset').getByRole('button', { name: 'Tag tilbage til kladde' }).click();
	await dialog(visitor).getByRole('textbox', { name: 'Begrundelse' }).fill(reason);
	await dialog(visitor).getByRole('button', { name: 'Tag tilbage til kladde' }).click();
	await expect(dialog(visitor)).toHaveCount(0);
}
