// What signing and checking say in words, for what the server names.

import { m } from '$lib/paraglide/messages';
import type { CheckLine } from '$lib/protocol/CheckLine';
import type { Party } from '$lib/protocol/Party';

/** Why an approval was not taken, and what one can do. */
export function refusalWords(reason: string): { title: string; what: string } {
	switch (reason) {
		case 'expired':
			return { title: m.sign_refused_expired(), what: m.sign_refused_expired_what() };
		case 'used_before':
			return { title: m.sign_refused_used_before(), what: m.sign_refused_used_before_what() };
		case 'signed_out':
			return { title: m.sign_refused_signed_out(), what: m.sign_refused_signed_out_what() };
		case 'provider_down':
			return { title: m.sign_refused_provider_down(), what: m.sign_refused_provider_down_what() };
		case 'provider_refused':
			return { title: m.sign_refused_provider_refused(), what: m.sign_refused_provider_refused_what() };
		case 'issuer':
			return { title: m.sign_refused_issuer(), what: m.sign_refused_tell() };
		case 'token':
			return { title: m.sign_refused_token(), what: m.sign_refused_tell() };
		case 'nonce':
			return { title: m.sign_refused_nonce(), what: m.sign_refused_nonce_what() };
		case 'other_person':
			return { title: m.sign_refused_other_person(), what: m.sign_refused_other_person_what() };
		case 'no_auth_time':
			return { title: m.sign_refused_no_auth_time(), what: m.sign_refused_tell() };
		case 'old_login':
			return { title: m.sign_refused_old_login(), what: m.sign_refused_old_login_what() };
		case 'future_login':
			return { title: m.sign_refused_future_login(), what: m.sign_refused_tell() };
		case 'level':
			return { title: m.sign_refused_level(), what: m.sign_refused_level_what() };
		case 'not_a_party':
			return { title: m.sign_refused_not_a_party(), what: m.sign_refused_not_a_party_what() };
		case 'not_frozen':
			return { title: m.sign_refused_not_frozen(), what: m.sign_refused_not_frozen_what() };
		case 'other_text':
			return { title: m.sign_refused_other_text(), what: m.sign_refused_other_text_what() };
		case 'already_signed':
			return { title: m.sign_refused_already_signed(), what: m.sign_refused_already_signed_what() };
		case 'both_sides':
			return { title: m.sign_refused_both_sides(), what: m.sign_refused_both_sides_what() };
		default:
			return { title: m.sign_refused_failed(), what: m.sign_refused_failed_what() };
	}
}

export function sideWord(party: Party): string {
	return party === 'unit_leader' ? m.verify_side_unit() : m.verify_side_counterpart();
}

/** What was checked. */
export function checkWords(line: CheckLine): string {
	const side = line.party ? sideWord(line.party) : '';
	switch (line.check) {
		case 'package':
			return m.verify_check_package();
		case 'key':
			return m.verify_check_key();
		case 'manifest':
			return m.verify_check_manifest();
		case 'content':
			return m.verify_check_content();
		case 'statement':
			return m.verify_check_statement({ side });
		case 'sign_in':
			return m.verify_check_sign_in({ side });
		case 'seal':
			return m.verify_check_seal({ side });
		case 'parties':
			return m.verify_check_parties();
		case 'trail':
			return m.verify_check_trail();
		case 'checkpoint':
			return m.verify_check_checkpoint();
		case 'time_stamp':
			return m.verify_check_time_stamp();
		default:
			return m.verify_check_other({ name: line.check });
	}
}

/** Why it does not hold, or what it waits for. */
export function reasonWords(line: CheckLine): string {
	const about = line.about ?? '';
	switch (line.reason) {
		case 'other_party':
			return m.verify_waits_other_party();
		case 'checkpoint':
			return line.outcome === 'waits' ? m.verify_waits_checkpoint() : m.verify_why_checkpoint();
		case 'time_stamp':
			return m.verify_why_time_stamp();
		case 'demonstration':
			return m.verify_why_shown();
		case 'not_a_zip':
			return m.verify_why_not_a_zip();
		case 'too_large':
			return m.verify_why_too_large();
		case 'package_altered':
			return m.verify_why_package_altered();
		case 'no_manifest':
			return m.verify_why_no_manifest();
		case 'missing':
			return m.verify_why_missing({ about });
		case 'altered':
			return m.verify_why_altered({ about });
		case 'foreign':
			return m.verify_why_foreign({ about });
		case 'seal':
			return m.verify_why_seal();
		case 'other_key':
			return m.verify_why_other_key({ about });
		case 'spelling':
			return m.verify_why_altered({ about });
		case 'other_content':
			return m.verify_why_other_content();
		case 'nobody':
			return m.verify_why_nobody();
		case 'one_person':
			return m.verify_why_one_person();
		case 'not_together':
			return m.verify_why_not_together();
		case 'trail_breaks':
			return m.verify_why_trail_breaks({ about });
		case 'not_in_trail':
			return m.verify_why_not_in_trail();
		default:
			return line.reason?.startsWith('token_') ? m.verify_why_token() : m.verify_why_other();
	}
}
