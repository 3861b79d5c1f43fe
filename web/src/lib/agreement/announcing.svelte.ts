// From what happens in the live document to what is read aloud, and what is answered on demand.

import { Announcer, type Words } from '$lib/announce';
import { list } from '$lib/format';
import { say } from '$lib/live-region.svelte';
import { m } from '$lib/paraglide/messages';
import { settings } from '$lib/settings.svelte';
import type { LiveEvent } from '$lib/document';
import type { AgreementPage } from './context.svelte';
import { does, people } from './presence';

const WORDS: Words = {
	joined: (person) => m.say_joined({ person }),
	left: (person) => m.say_left({ person }),
	wrote: (person, others, place) =>
		others > 0 ? m.say_wrote_many({ person, count: others, place }) : m.say_wrote({ person, place }),
	lost: m.say_lost,
	back: m.say_back,
	unsaved: m.say_unsaved,
	savedAgain: m.say_saved_again,
	status: (status) => m.say_changed({ status })
};

export class Announcing {
	readonly announcer = new Announcer(() => settings.announcements, WORDS, say);
	/** Who wrote where since I last asked. */
	#wrote = new Map<string, Set<string>>();

	constructor(
		private readonly page: AgreementPage,
		private readonly place: () => string | null
	) {}

	event(event: LiveEvent): void {
		switch (event.kind) {
			case 'joined':
			case 'left':
				this.announcer.happened({ kind: event.kind, name: event.person.name });
				return;
			case 'wrote': {
				const place = this.page.placeName(event.place);
				if (event.place === null || place === null) return;
				const places = this.#wrote.get(event.person.name) ?? new Set();
				this.#wrote.set(event.person.name, places.add(event.place));
				this.announcer.happened({ kind: 'wrote', name: event.person.name, place, here: this.#isHere(event.place) });
				return;
			}
			case 'save':
				if (event.status.kind === 'unsaved') this.announcer.happened({ kind: 'unsaved' });
				else if (event.status.kind === 'reconnecting') this.announcer.happened({ kind: 'lost' });
				else if (event.status.kind === 'saved') {
					this.announcer.happened({ kind: 'back' });
					this.announcer.happened({ kind: 'saved_again' });
				}
				return;
		}
	}

	/** The same section counts as here, also for its goals. */
	#isHere(place: string): boolean {
		const mine = this.place();
		return mine !== null && (mine === place || this.#sectionOf(mine) === this.#sectionOf(place));
	}

	#sectionOf(place: string): string {
		for (const [section, goals] of this.page.goalsBySection) if (goals.some(({ goal }) => goal.id === place)) return section;
		return place;
	}

	/** Reads who is here and what changed, and begins anew. */
	ask(): { name: string; places: string }[] {
		const changes = [...this.#wrote].map(([name, places]) => ({
			name,
			places: list([...places].flatMap((place) => this.page.placeName(place) ?? []))
		}));
		this.#wrote = new Map();
		const others = people(this.page.live.peers).filter((peer) => !peer.self);
		say(
			others.length === 0
				? m.presence_alone()
				: others.map((peer) => `${peer.person.name} ${does(peer, this.page.placeName(peer.place))}`).join(', ') + '.'
		);
		say(
			changes.length === 0
				? m.say_changes_none()
				: m.say_changes({ changes: list(changes.map(({ name, places }) => m.say_change_item({ person: name, places }))) })
		);
		return changes;
	}

	close(): void {
		this.announcer.close();
	}
}
