// An agreement is called *Aftale 2027* wherever its unit is named beside it, also when its own title carries the unit:
// *Aftale 2027 – Fjordskolen*.

import type { AgreementSummary } from '$lib/protocol/AgreementSummary';
import type { AgreementView } from '$lib/protocol/AgreementView';
import type { Overview } from '$lib/protocol/Overview';

export function withoutUnit(title: string, unit: string): string {
	const tail = [` – ${unit}`, `, ${unit}`].find((tail) => title.endsWith(tail));
	return tail === undefined ? title : title.slice(0, -tail.length);
}

export function shortOverview(overview: Overview): Overview {
	const meeting = overview.next_meeting;
	return {
		...overview,
		next_meeting: meeting && { ...meeting, agreement_title: withoutUnit(meeting.agreement_title, meeting.unit_name) },
		waiting: overview.waiting.map((item) => ({ ...item, agreement_title: withoutUnit(item.agreement_title, item.unit_name) })),
		mine: overview.mine.map(shortSummary),
		others: overview.others.map(shortSummary)
	};
}

export function shortView(view: AgreementView): AgreementView {
	const unit = view.summary.unit.name;
	return {
		...view,
		summary: shortSummary(view.summary),
		previous: view.previous && { ...view.previous, title: withoutUnit(view.previous.title, unit) }
	};
}

function shortSummary(summary: AgreementSummary): AgreementSummary {
	return { ...summary, title: withoutUnit(summary.title, summary.unit.name) };
}
