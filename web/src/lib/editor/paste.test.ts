// @vitest-environment jsdom
import { Slice } from 'prosemirror-model';
import { describe, expect, test } from 'vitest';
import { fitted, PasteParser } from './paste';
import { allowedHref, sectionSchema } from './schema';

const parser = PasteParser.for(sectionSchema);

function pasted(html: string): Slice {
	const root = document.createElement('div');
	root.innerHTML = html;
	return parser.parseSlice(root, { preserveWhitespace: false });
}
const shown = (slice: Slice) => slice.content.toString().slice(1, -1);

/** As Word 365 puts it on the clipboard, shortened to one of each. */
const WORD = `<meta name=Generator content="Microsoft Word 15"><style><!-- p.MsoNormal {margin:0cm;} --></style>
<!--StartFragment--><h1>Kerneopgave<o:p></o:p></h1>
<p class=MsoNormal><span lang=DA style='mso-ansi-language:DA'>Vi giver <b>børn</b> og <i style='mso-bidi-font-style:normal'>unge</i>
lyst til at lære.<o:p></o:p></span></p>
<p class=MsoNormal><o:p>&nbsp;</o:p></p>
<p class=MsoListParagraphCxSpFirst style='text-indent:-18.0pt;mso-list:l0 level1 lfo1'><![if !supportLists]><span
style='font-family:Symbol;mso-list:Ignore'>·<span style='font:7.0pt "Times New Roman"'>&nbsp;&nbsp;&nbsp; </span></span><![endif]>Læsetime<o:p></o:p></p>
<p class=MsoListParagraphCxSpMiddle style='margin-left:72.0pt;mso-list:l0 level2 lfo1'><span style='mso-list:Ignore'>o<span>&nbsp; </span></span>hver uge</p>
<p class=MsoListParagraphCxSpLast style='mso-list:l0 level1 lfo1'><span style='mso-list:Ignore'>·<span>&nbsp; </span></span>Bibliotek</p>
<p class=MsoListParagraph style='mso-list:l1 level1 lfo2'><span style='mso-list:Ignore'>1.<span>&nbsp; </span></span>Først</p>
<table class=MsoTableGrid border=1><tr><td width=200 valign=top style='border:solid windowtext 1.0pt'><p class=MsoNormal>Hvad</p></td>
<td><p class=MsoNormal>Hvem</p></td></tr></table>
<p class=MsoNormal><a href="https://www.kommune.dk/">Læs mere</a> eller <a href="javascript:alert(1)">her</a><img src="x.png"></p><!--EndFragment-->`;

const GOOGLE = `<meta charset='utf-8'><b style="font-weight:normal;" id="docs-internal-guid-1"><h2 dir="ltr"><span style="font-weight:400">Mål</span></h2>
<p dir="ltr"><span style="font-weight:700;font-style:normal">Fed</span><span style="font-weight:400;font-style:italic"> kursiv</span></p>
<ul><li dir="ltr"><p dir="ltr"><span style="font-weight:400">en</span></p></li><ul><li><p><span>under</span></p></li></ul><li><p><span>to</span></p></li></ul></b>`;

describe('paste', () => {
	test('from Word keeps headings, lists, tables, strong, em and safe links', () => {
		expect(shown(pasted(WORD))).toBe(
			[
				'heading("Kerneopgave")',
				'paragraph("Vi giver ", strong("børn"), " og ", em("unge"), " lyst til at lære.")',
				'bullet_list(list_item(paragraph("Læsetime"), bullet_list(list_item(paragraph("hver uge")))), list_item(paragraph("Bibliotek")))',
				'ordered_list(list_item(paragraph("Først")))',
				'table(table_row(table_cell(paragraph("Hvad")), table_cell(paragraph("Hvem"))))',
				'paragraph(link("Læs mere"), " eller her")'
			].join(', ')
		);
	});

	test('from Google Docs is not all bold, and inner lists are inside', () => {
		expect(shown(pasted(GOOGLE))).toBe(
			'heading("Mål"), paragraph(strong("Fed"), em(" kursiv")), bullet_list(list_item(paragraph("en"), bullet_list(list_item(paragraph("under")))), list_item(paragraph("to")))'
		);
	});

	test('from a page becomes plain words where we have no form for it', () => {
		expect(shown(pasted('<h6>Dybt</h6><div style="color:red">Rød <u>streg</u> <code>x</code></div><script>1</script><iframe></iframe>'))).toBe(
			'heading("Dybt"), paragraph("Rød streg x")'
		);
	});

	test('into a title is one line without marks', () => {
		expect(shown(fitted(pasted(WORD), 'title', sectionSchema))).toMatch(/^paragraph\("Kerneopgave Vi giver børn og unge/);
		expect(shown(fitted(pasted('<b>to</b> <i>ord</i>'), 'line', sectionSchema))).toBe('paragraph("to ord")');
	});

	test('into the criteria becomes criteria', () => {
		expect(shown(fitted(pasted('<p>en</p><p><b>to</b></p>'), 'list', sectionSchema))).toBe(
			'bullet_list(list_item(paragraph("en")), list_item(paragraph(strong("to"))))'
		);
	});
});

test.each([
	['https://www.kommune.dk/a?b=c', 'https://www.kommune.dk/a?b=c'],
	['mailto:a@b.dk', 'mailto:a@b.dk'],
	['www.kommune.dk', 'https://www.kommune.dk'],
	['hanne@kommune.dk', 'mailto:hanne@kommune.dk'],
	['http://kommune.dk', null],
	['javascript:alert(1)', null],
	['data:text/html,x', null],
	['/auth/logout', null],
	['', null]
])('a link to %s leads to %s', (address, expected) => expect(allowedHref(address)).toBe(expected));
