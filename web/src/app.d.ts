declare global {
	namespace App {
		interface Error {
			message: string;
		}
		interface PageState {
			/** Something lay over the page when this entry came into the history. */
			over?: boolean;
		}
	}
}

export {};
