// The signs of Samspil, drawn on a 20 × 20 ground. They never stand alone: a word is beside them or in their label.

export const ICONS = {
	check: '<path d="M4 10.5l4 4 8-9"/>',
	sync: '<path d="M16 10a6 6 0 0 1-10.5 4M4 10a6 6 0 0 1 10.5-4M14.5 2.5V6H11M5.5 17.5V14H9"/>',
	cut: '<path d="M3 10h4M13 10h4M8.5 6.5l3 7"/>',
	alert: '<path d="M10 3l8 14H2zM10 8v4M10 14.6v.1"/>',
	lock: '<path d="M4.5 9h11v8h-11zM7 9V6.5a3 3 0 0 1 6 0V9"/>',
	note: '<path d="M3 4h14v10H9l-4 3v-3H3z"/>',
	flag: '<path d="M5 17V3h10l-2.5 3.5L15 10H5"/>',
	pen: '<path d="M3 17l1-4L14 3l3 3L7 16zM12 5l3 3"/>',
	people: '<circle cx="7" cy="7" r="3"/><path d="M1.5 17c0-3.5 2.5-5 5.5-5s5.5 1.5 5.5 5M13 4.3a3 3 0 0 1 0 5.4M15 12.3c2 .5 3.5 2 3.5 4.7"/>',
	eye: '<path d="M2 10c2-3.7 4.8-5.5 8-5.5s6 1.8 8 5.5c-2 3.7-4.8 5.5-8 5.5S4 13.7 2 10z"/><circle cx="10" cy="10" r="2.5"/>',
	up: '<path d="M10 16V4M5 9l5-5 5 5"/>',
	down: '<path d="M10 4v12M5 11l5 5 5-5"/>',
	right: '<path d="M4 10h12M11 5l5 5-5 5"/>',
	chev: '<path d="M5 8l5 5 5-5"/>',
	plus: '<path d="M10 4v12M4 10h12"/>',
	cross: '<path d="M5 5l10 10M15 5L5 15"/>',
	more: '<path d="M4.5 10h.1M10 10h.1M15.5 10h.1" stroke-width="2.6"/>',
	menu: '<path d="M3 6h14M3 10h14M3 14h9"/>',
	link: '<path d="M8.5 11.5a3.5 3.5 0 0 0 5 0l3-3a3.5 3.5 0 0 0-5-5l-1 1M11.5 8.5a3.5 3.5 0 0 0-5 0l-3 3a3.5 3.5 0 0 0 5 5l1-1"/>',
	trash: '<path d="M3.5 5.5h13M8 5.5V3.5h4v2M5.5 5.5l.7 11h7.6l.7-11"/>',
	undo: '<path d="M7 4L3 8l4 4M3 8h8a5 5 0 0 1 0 9H8"/>',
	's-none': '<circle cx="10" cy="10" r="6.5" stroke-dasharray="2.4 2.7"/>',
	's-draft': '<circle cx="10" cy="10" r="6.5"/><circle cx="10" cy="10" r="1.6" fill="currentColor"/>',
	's-dialog': '<circle cx="7" cy="10" r="4.7"/><circle cx="13" cy="10" r="4.7"/>',
	's-ready': '<circle cx="10" cy="10" r="6.5"/><path d="M6.5 12.5h7"/>',
	's-one': '<circle cx="10" cy="10" r="6.5"/><path d="M10 3.5a6.5 6.5 0 0 1 0 13z" fill="currentColor"/>',
	's-signed': '<circle cx="10" cy="10" r="7" fill="currentColor" stroke="none"/><path class="on" d="M6.6 10.3l2.4 2.4 4.4-5" stroke-width="1.9"/>',
	's-open': '<path d="M14.6 5.4A6.5 6.5 0 1 0 16.5 10M14.6 2.5v3h-3"/>',
	's-closed': '<rect x="4.5" y="4.5" width="11" height="11" rx="1.5" fill="currentColor"/>',
	's-part': '<circle cx="10" cy="10" r="6.5"/><path d="M3.6 10h12.8a6.4 6.4 0 0 1-12.8 0z" fill="currentColor"/>',
	's-miss': '<circle cx="10" cy="10" r="6.5"/><path d="M7.3 7.3l5.4 5.4M12.7 7.3l-5.4 5.4"/>'
} as const;

export type IconName = keyof typeof ICONS;
