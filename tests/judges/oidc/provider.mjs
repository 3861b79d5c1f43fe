// The outside judge of our sign-in: oidc-provider, a certified OpenID provider, on a loopback port. It says `issuer <url>` on its
// standard output, reads the client's registration as one line of JSON from its standard input, then says `ready`. It ends when its
// standard input ends. Whoever types a login name is that person; the password is not looked at.

import { createServer } from 'node:http';
import { createInterface } from 'node:readline';
import Provider from 'oidc-provider';

const server = createServer();
server.listen(0, '127.0.0.1', () => {
	const issuer = `http://127.0.0.1:${server.address().port}`;
	console.log(`issuer ${issuer}`);
	const lines = createInterface({ input: process.stdin });
	lines.once('line', (line) => {
		const provider = new Provider(issuer, {
			clients: [JSON.parse(line)],
			// Back-channel calls to loopback are refused by its default dispatcher.
			fetch: (url, { dispatcher, ...options }) => fetch(url, options),
			claims: { openid: ['sub', 'roles', 'employee'] },
			conformIdTokenClaims: false,
			features: { backchannelLogout: { enabled: true } },
			findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id, roles: ['Leder'], employee: id }) }),
			cookies: { keys: ['only-for-tests'] },
		});
		provider.on('server_error', (_, error) => console.error(error));
		provider.on('backchannel.error', (_, error) => console.error(error));
		server.on('request', provider.callback());
		console.log('ready');
	});
	lines.once('close', () => process.exit(0));
});
