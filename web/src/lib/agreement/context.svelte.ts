// What the parts of an agreement's page share: the agreement, its live text, the chain, and names for places.

import { getContext, setContext } from 'svelte';
import { m } from '$lib/paraglide/messages';
import { countWords, readingMinutes } from '$lib/text';
import type { Goal, LiveDocument } from '$lib/document';
import type { AgreementView } from '$lib/protocol/AgreementView';
import type { TemplateSection } from '$lib/protocol/TemplateSection';
import type { Gate } from '$lib/protocol/Gate';
import type { About } from '$lib/protocol/About';
import type { Chain } from './chain';
import type { Step } from './steps';

/** Counting words and looking for empty sections waits until the writer rests. */
const RECOUNT_MS = 700;

export type NumberedGoal = { goal: Goal; number: number };

export class AgreementPage {
	view = $state.raw<AgreementView>() as AgreementView;
	chain = $state.raw<Chain | null>(null);
	chainFailed = $state(false);
	/** Sections with words in them, by key. */
	filled = $state.raw<ReadonlySet<string>>(new Set());
	minutes = $state(1);
	/** The section or goal that is being read. */
	reading = $state<string | null>(null);
	/** Begins a comment; set by the page that has a place for it. */
	comment: (about: About) => void = () => {};
	/** The step in its life that is being asked about. */
	step = $state<Step | null>(null);
	/** The goal that I am deleting myself: I know that it goes. */
	deleting: string | null = null;

	constructor(
		view: AgreementView,
		readonly live: LiveDocument
	) {
		this.view = view;
	}

	readonly sections = $derived(this.view.sections);
	readonly editable = $derived.by(() => this.live.editable && this.live.trouble === null);

	/** Goals by section, numbered as they are read. A goal whose origin has no section stands in the last one, never nowhere. */
	readonly goalsBySection = $derived.by(() => {
		const sections = this.sections.filter((section) => section.kind === 'goals');
		const known = new Set(sections.map((section) => section.goal_origin));
		const result = new Map<string, NumberedGoal[]>();
		let number = 0;
		for (const [index, section] of sections.entries()) {
			const last = index === sections.length - 1;
			const goals = this.live.goals.filter(
				(goal) => goal.origin === section.goal_origin || (last && !known.has(goal.origin))
			);
			result.set(
				section.key,
				goals.map((goal) => ({ goal, number: ++number }))
			);
		}
		return result;
	});

	readonly goals = $derived([...this.goalsBySection.values()].flat());

	/** The newest version, and the one in force; the page shows either of them, or an older one. */
	readonly newest = $derived(this.view.versions[0] ?? null);
	readonly inForce = $derived(this.view.versions.find(({ in_force }) => in_force) ?? null);

	/** The address of a version: the newest has the plain one. */
	pathOf(version: number): string {
		const path = `/agreements/${this.view.summary.id}`;
		return this.newest?.version === version ? path : `${path}?version=${version}`;
	}

	goalsOf(section: TemplateSection): NumberedGoal[] {
		return this.goalsBySection.get(section.key) ?? [];
	}

	/** *mål 1* or the section's title; `null` for a place that is gone. */
	placeName(place: string | null): string | null {
		if (place === null) return null;
		const goal = this.goals.find(({ goal }) => goal.id === place);
		if (goal) return m.place_goal({ number: goal.number });
		return this.sections.find((section) => section.key === place)?.title ?? null;
	}

	/** As `placeName`, from the finer places of kept words: `goal:<id>:body`, `section:<key>` or a key. */
	placeNameOf(place: string): string {
		const id = place.startsWith('goal:') ? (place.split(':')[1] ?? place) : place.replace(/^section:/, '');
		return this.placeName(id) ?? m.goal_untitled();
	}

	gateAt(place: string): Gate | undefined {
		return this.view.gates.find((gate) => !gate.holds && gate.place === place && gate.kind !== 'comments_settled');
	}

	recount(): void {
		const filled = new Set<string>();
		let words = 0;
		for (const section of this.sections) {
			if (section.kind === 'rich_text' || section.kind === 'rich_text_with_goals') {
				const text = this.live.textOf(this.live.section(section.key));
				if (text) filled.add(section.key);
				words += countWords(text);
			} else if (section.kind === 'goals') {
				const goals = this.goalsOf(section);
				if (goals.length > 0) filled.add(section.key);
				for (const { goal } of goals) words += goalWords(this.live, goal);
			} else if (section.kind === 'signatures') {
				const signed = new Set(this.view.signatures.filter(({ valid }) => valid).map(({ party }) => party));
				if (signed.size === 2) filled.add(section.key);
			} else if (section.key === 'dialog') {
				if (this.view.meetings.some(({ status }) => status === 'held') && !this.gateAt('dialog')) filled.add(section.key);
			} else filled.add(section.key);
		}
		this.filled = filled;
		this.minutes = readingMinutes(words);
	}

	/** Recounts now and whenever the text has rested. Call in an effect; returns its end. */
	watch(): () => void {
		let timer: ReturnType<typeof setTimeout> | null = null;
		const doc = this.live.doc;
		const later = () => {
			timer ??= setTimeout(() => {
				timer = null;
				this.recount();
			}, RECOUNT_MS);
		};
		this.recount();
		doc.on('update', later);
		return () => {
			doc.off('update', later);
			if (timer) clearTimeout(timer);
		};
	}
}

function goalWords(live: LiveDocument, goal: Goal): number {
	const fragments = [goal.body, goal.success, ...goal.actions.flatMap(({ text, responsible }) => [text, responsible])];
	return countWords(goal.titleText) + fragments.reduce((sum, fragment) => sum + countWords(live.textOf(fragment)), 0);
}

const KEY = Symbol('agreement');

export function provide(page: AgreementPage): AgreementPage {
	return setContext(KEY, page);
}

export function agreement(): AgreementPage {
	return getContext(KEY);
}
