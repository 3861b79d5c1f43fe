// Runs once, before the first page.

/** A worker that comes to life while a page is on its way to the browser passes that page by. It is asked once more when the page is there. */
async function beKept(): Promise<void> {
	const { active } = await navigator.serviceWorker.ready;
	if (!navigator.serviceWorker.controller) active?.postMessage('claim');
}

if ('serviceWorker' in navigator) void beKept();
