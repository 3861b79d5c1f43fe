import { defineConfig } from '@playwright/test';

/** What leaves agreements otherwise than they were, for good; the others find the demo municipality as it is and leave it so. */
const LASTING = /(r2-.*|r3-mail|r3-many)\.spec\.ts$/;

/** One server, one browser at a time: the journeys share them, and a machine with two cores has no more to give. */
export default defineConfig({
	testDir: 'journeys',
	outputDir: 'results',
	globalSetup: './start.ts',
	projects: [
		{ name: 'journeys', testIgnore: LASTING },
		{ name: 'lasting', testMatch: LASTING }
	],
	workers: 1,
	retries: 0,
	forbidOnly: true,
	// What takes longer has failed. A server that starts again and a snapshot of six states are the longest.
	timeout: 60_000,
	expect: { timeout: 15_000 },
	reporter: [['list']],
	use: {
		locale: 'da-DK',
		timezoneId: 'Europe/Copenhagen',
		viewport: { width: 1440, height: 900 },
		trace: 'retain-on-failure',
		launchOptions: {
			executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
			// As root Chromium has no sandbox.
			args: process.getuid?.() === 0 ? ['--no-sandbox'] : []
		}
	}
});
