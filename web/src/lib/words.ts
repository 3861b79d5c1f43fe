// What the wire's values are called, and which sign stands beside the word.

import { m } from '$lib/paraglide/messages';
import type { AgreementStatus } from '$lib/protocol/AgreementStatus';
import type { ChainGoalKind } from '$lib/protocol/ChainGoalKind';
import type { IconName } from '$lib/parts/icons';

export type Tone = 'plain' | 'ink' | 'ok' | 'warn' | 'bad';
export type Sign = { word: string; icon: IconName; tone: Tone };

export function statusSign(status: AgreementStatus): Sign {
	switch (status) {
		case 'not_started':
			return { word: m.status_not_started(), icon: 's-none', tone: 'plain' };
		case 'drafting':
			return { word: m.status_drafting(), icon: 's-draft', tone: 'plain' };
		case 'in_dialogue':
			return { word: m.status_in_dialogue(), icon: 's-dialog', tone: 'ink' };
		case 'ready_to_sign':
			return { word: m.status_ready_to_sign(), icon: 's-ready', tone: 'ink' };
		case 'partly_signed':
			return { word: m.status_partly_signed(), icon: 's-one', tone: 'ink' };
		case 'signed':
			return { word: m.status_signed(), icon: 's-signed', tone: 'ok' };
		case 'reopened':
			return { word: m.status_reopened(), icon: 's-open', tone: 'warn' };
		case 'closed':
			return { word: m.status_closed(), icon: 's-closed', tone: 'plain' };
		case 'superseded':
			return { word: m.status_superseded(), icon: 's-closed', tone: 'plain' };
	}
}

export function attainmentSign(status: string): Sign {
	switch (status) {
		case 'not_started':
			return { word: m.attainment_not_started(), icon: 's-none', tone: 'plain' };
		case 'on_track':
			return { word: m.attainment_on_track(), icon: 's-draft', tone: 'plain' };
		case 'at_risk':
			return { word: m.attainment_at_risk(), icon: 'alert', tone: 'warn' };
		case 'achieved':
			return { word: m.attainment_achieved(), icon: 's-signed', tone: 'ok' };
		case 'partly_achieved':
			return { word: m.attainment_partly_achieved(), icon: 's-part', tone: 'plain' };
		case 'not_achieved':
			return { word: m.attainment_not_achieved(), icon: 's-miss', tone: 'warn' };
		case 'dropped':
			return { word: m.attainment_dropped(), icon: 'cut', tone: 'plain' };
		default:
			return { word: m.attainment_unknown(), icon: 's-none', tone: 'plain' };
	}
}

export function chainKindWord(kind: ChainGoalKind): string {
	switch (kind) {
		case 'vision_aim':
			return m.kind_vision_aim();
		case 'policy_goal':
			return m.kind_policy_goal();
		case 'strategy_goal':
			return m.kind_strategy_goal();
		case 'budget_priority':
			return m.kind_budget_priority();
		case 'executive_goal':
			return m.kind_executive_goal();
		case 'initiative':
			return m.kind_initiative();
	}
}

export type Relation = 'contributes_to' | 'implements' | 'constrained_by';
export const RELATIONS: readonly Relation[] = ['contributes_to', 'implements', 'constrained_by'];

export function relationWord(relation: string): string {
	switch (relation) {
		case 'implements':
			return m.relation_implements();
		case 'constrained_by':
			return m.relation_constrained_by();
		default:
			return m.relation_contributes_to();
	}
}

/** Which way is the right one; a word that this page does not know stands as it is. */
export function directionWord(direction: string): string {
	switch (direction) {
		case 'up':
			return m.direction_up();
		case 'down':
			return m.direction_down();
		case 'keep':
			return m.direction_keep();
		default:
			return direction;
	}
}

/** How often it is measured; likewise. */
export function frequencyWord(frequency: string): string {
	switch (frequency) {
		case 'monthly':
			return m.frequency_monthly();
		case 'quarterly':
			return m.frequency_quarterly();
		case 'half_yearly':
			return m.frequency_half_yearly();
		case 'yearly':
			return m.frequency_yearly();
		default:
			return frequency;
	}
}
