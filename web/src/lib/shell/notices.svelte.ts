// What is new to me in Samspil: fetched at start, when the page is looked at again, and now and then.

import { get, post, put } from '$lib/api/client';
import type { Notice } from '$lib/protocol/Notice';
import type { NoticeKind } from '$lib/protocol/NoticeKind';
import type { NoticeList } from '$lib/protocol/NoticeList';
import type { NoticeSetting } from '$lib/protocol/NoticeSetting';
import type { NoticeSettings } from '$lib/protocol/NoticeSettings';
import type { NoticeWay } from '$lib/protocol/NoticeWay';

const EVERY_MS = 60_000;

class Notices {
	items = $state.raw<Notice[]>([]);
	unread = $state(0);
	next = $state<string | null>(null);
	state = $state<'loading' | 'ready' | 'failed'>('loading');
	settings = $state.raw<NoticeSetting[]>([]);
	open = $state(false);

	async load(): Promise<void> {
		try {
			const list = await get<NoticeList>('/api/notifications');
			this.items = list.items;
			this.unread = list.unread;
			this.next = list.next;
			this.state = 'ready';
		} catch {
			if (this.state !== 'ready') this.state = 'failed';
		}
	}

	async more(): Promise<void> {
		if (!this.next) return;
		const list = await get<NoticeList>(`/api/notifications?before=${this.next}`);
		this.items = [...this.items, ...list.items];
		this.next = list.next;
	}

	/** All of it has been seen. */
	async seen(): Promise<void> {
		const newest = this.items[0];
		if (!newest || this.unread === 0) return;
		await post('/api/notifications/read', { up_to: newest.id }).catch(() => undefined);
		this.unread = 0;
	}

	async loadSettings(): Promise<void> {
		this.settings = (await get<NoticeSettings>('/api/notification-settings')).items;
	}

	async choose(kind: NoticeKind, way: NoticeWay): Promise<void> {
		this.settings = (await put<NoticeSettings>('/api/notification-settings', { items: [{ kind, way }] })).items;
	}

	/** Looks now and then. Call when somebody is signed in; returns its end. */
	watch(): () => void {
		const look = () => {
			if (document.visibilityState === 'visible') void this.load();
		};
		void this.load();
		const timer = setInterval(look, EVERY_MS);
		document.addEventListener('visibilitychange', look);
		return () => {
			clearInterval(timer);
			document.removeEventListener('visibilitychange', look);
		};
	}
}

export const notices = new Notices();
