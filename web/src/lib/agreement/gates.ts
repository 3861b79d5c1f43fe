// What a gate asks for, or what is missing, in words.

import { m } from '$lib/paraglide/messages';
import type { Gate } from '$lib/protocol/Gate';

export function gateWords(gate: Gate): string {
	if (!gate.holds) return missingWords(gate);
	switch (gate.kind) {
		case 'political_goal':
			return m.gate_political_goal();
		case 'executive_goal':
			return m.gate_executive_goal();
		case 'sections_filled':
			return m.gate_sections_filled();
		case 'political_dialogue':
			return m.gate_political_dialogue();
		case 'executive_dialogue':
			return m.gate_executive_dialogue();
		case 'comments_settled':
			return m.gate_comments_settled();
		case 'goal_criterion':
			return m.gate_goal_criterion();
	}
}

function missingWords(gate: Gate): string {
	const place = gate.place_title;
	switch (gate.kind) {
		case 'political_goal':
			return m.gate_political_goal_missing();
		case 'executive_goal':
			return m.gate_executive_goal_missing();
		case 'sections_filled':
			return place ? m.gate_section_filled_missing({ place }) : m.gate_sections_filled_missing();
		case 'political_dialogue':
			return m.gate_political_dialogue_missing();
		case 'executive_dialogue':
			return m.gate_executive_dialogue_missing();
		case 'comments_settled':
			return m.gate_comments_open({ count: gate.count ?? 1 });
		case 'goal_criterion':
			return place ? m.gate_goal_criterion_of_missing({ place }) : m.gate_goal_criterion_missing();
	}
}
