// Runs before the first paint, so that neither theme nor language flickers. Its own file, since the page allows no inline script.
(function () {
	try {
		var theme = localStorage.getItem('samspil.theme');
		if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme;
		var locale = localStorage.getItem('PARAGLIDE_LOCALE');
		if (locale === 'da' || locale === 'en') document.documentElement.lang = locale;
	} catch (e) {
		/* storage may be forbidden; the defaults stand */
	}
})();
