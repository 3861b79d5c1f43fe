// What a gate asks for, in words.

import { m } from '$lib/paraglide/messages';
import type { Gate } from '$lib/protocol/Gate';

export function gateWords(gate: Gate): string {
	switch (gate.kind) {
		case 'political_goal':
			return m.gate_political_goal();
		case 'executive_goal':
			return m.gate_executive_goal();
		case 'sections_filled':
			return gate.place_title ? m.gate_section_filled({ place: gate.place_title }) : m.gate_sections_filled();
		case 'political_dialogue':
			return m.gate_political_dialogue();
		case 'executive_dialogue':
			return m.gate_executive_dialogue();
		case 'comments_settled':
			return gate.count ? m.gate_comments_open({ count: gate.count }) : m.gate_comments_settled();
		case 'goal_criterion':
			return gate.place_title ? m.gate_goal_criterion_of({ place: gate.place_title }) : m.gate_goal_criterion();
	}
}
